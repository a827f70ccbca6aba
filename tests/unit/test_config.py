from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.categories import MODEL_REFERENCE_CATEGORY, SPECIFIED, CanonicalFormat, Layout
from refsync.config import Config, find_config_file, load_config, parse_config, restart_keys, sources
from refsync.config.layers import table_in
from refsync.config.notify import NotifySettings
from refsync.config.repository import RepositorySettings
from refsync.config.settings import PeopleSettings
from refsync.errors import ConfigError

C = MODEL_REFERENCE_CATEGORY
COMPLETE = Path(__file__).parents[2] / "config" / "refsync.toml"
PLACE = Path("/etc/refsync/refsync.toml")

IMAGE = """
[[repository]]
name = "image"
path = "/srv/image"
"""


def parse(text: str, environ: Mapping[str, str] | None = None) -> Config:
    return parse_config(text, PLACE, environ or {})


def problems(text: str, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refusal:
        parse(text, environ)
    assert all("\n" not in problem for problem in refusal.value.problems)
    return refusal.value.problems


def problem(text: str, environ: Mapping[str, str] | None = None) -> str:
    (only,) = problems(text, environ)
    return only


def two(first: str = "", second: str = "") -> str:
    return f'{IMAGE}{first}\n[[repository]]\nname = "text"\npath = "/srv/text"\n{second}'


# The shipped file


def test_the_shipped_file_loads_and_says_the_defaults() -> None:
    shipped = load_config(COMPLETE, {})
    plain = parse_config('[[repository]]\nname = "image"\npath = "/srv/reference/image"', COMPLETE, {})
    listed = {C.image_generation: "stable_diffusion.json"}
    assert shipped.model_dump(exclude={"repositories"}) == plain.model_dump(exclude={"repositories"})
    assert shipped.repositories[0].files == plain.repositories[0].files
    assert shipped.repositories[0].categories == listed
    assert shipped.repositories[0].model_copy(update={"categories": {}}) == plain.repositories[0]


def test_the_shipped_file_holds_every_key_with_a_line_of_why() -> None:
    lines = COMPLETE.read_text().splitlines()
    table, seen = "", set()
    for before, line in zip(["", *lines], lines, strict=False):
        if heading := re.fullmatch(r"(?:# )?\[+([\w.]+)\]+", line):
            table = f"{heading[1]}."
            seen.add(heading[1])
        elif key := re.match(r"(?:# )?(\w+) = ", line):
            seen.add(f"{table}{key[1]}")
            assert before.startswith("#") or table.startswith("repository."), f"no reason above {line!r}"
    assert known_keys() <= seen


def known_keys() -> set[str]:
    keys = {f"repository.{name}" for name in RepositorySettings.model_fields}
    keys |= {f"notify.{name}" for name in NotifySettings.model_fields}
    for name, field in Config.model_fields.items():
        if inner := table_in(field.annotation):
            keys |= {f"{name}.{key}" for key in inner.model_fields}
        else:
            keys.add(field.alias or name)
    return keys


def test_every_key_outside_repositories_stands_uncommented_in_the_shipped_file() -> None:
    commented = re.findall(r"^# (token\w+|app_\w+|ssh\w+) = ", COMPLETE.read_text(), re.MULTILINE)
    assert {key for key, (_, source) in sources(COMPLETE, {}).items() if source == "default"} == {
        "repository.image.stamp_records",
        *(f"people.{key}" for key in PeopleSettings.model_fields),
        *(f"repository.image.credentials.{key}" for key in commented),
        *(
            f"repository.image.categories.{name}"
            for name in parse(IMAGE).repositories[0].files
            if name != "image_generation"
        ),
    }


# People, and what guards against them


def test_without_the_table_nobody_is_restricted_and_an_empty_one_lets_nobody_in() -> None:
    assert parse(IMAGE).people is None
    assert parse(f"{IMAGE}[people]").people == PeopleSettings()


def test_who_may_do_what_is_read_with_who_vouches_for_them() -> None:
    people = parse(f'{IMAGE}[people]\napprovers = ["bob", "horde:Ada#12"]\ncategory_approvers.clip = ["eve"]').people
    assert people is not None
    assert people.approvers == ("bob", "horde:Ada#12")
    assert people.category_approvers == {C.clip: ("eve",)}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('approvers = [""]', "approvers[1]: must be a login name of this machine, or PROVIDER:ID; not ''"),
        ('approvers = ["a", "b\\n"]', r"approvers[2]: must be a login name of this machine, or PROVIDER:ID; not 'b\n'"),
        ('operators = "ada"', "operators: must be a list, not 'ada'"),
        ('reviewers = ["ada"]', "reviewers: is no known key; the nearest is approvers"),
        ("category_approvers = { clap = [] }", "category_approvers.clap: is no category; the nearest is clip"),
    ],
)
def test_a_mistake_in_the_table_of_people_is_told(line: str, reason: str) -> None:
    assert problem(f"{IMAGE}[people]\n{line}") == f"{PLACE}: people.{reason}"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("deletions = { count = -1 }", "deletions.count: must be at least 0, not -1"),
        ("deletions = { share = 20 }", "deletions.share: must be at most 1, not 20"),
        ("deletions = { amount = 1 }", "deletions.amount: is no known key; the nearest is count"),
        ("open_changes = 0", "open_changes: must be at least 1, not 0"),
    ],
)
def test_a_mistake_in_what_guards_is_told(line: str, reason: str) -> None:
    assert problem(f"{IMAGE}[guard]\n{line}") == f"{PLACE}: guard.{reason}"


@pytest.mark.parametrize(
    "key", ["queue.two_person_review", "people.operators", "guard.deletions", "serve.identity", "serve.tokens_file"]
)
def test_what_guards_against_people_is_set_by_the_file_alone(key: str) -> None:
    name = f"REFSYNC_{key.replace('.', '__').upper()}"
    assert problem(IMAGE, {name: "true"}) == f"{name}: {key} is set in the config file only"


# Finding the file


def test_the_file_is_looked_for_in_the_documented_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("explicit.toml", "named.toml", "refsync.toml"):
        (tmp_path / name).write_text(IMAGE)
    named = {"REFSYNC_CONFIG": "named.toml"}
    assert find_config_file(Path("explicit.toml"), named) == tmp_path / "explicit.toml"
    assert find_config_file(None, named) == tmp_path / "named.toml"
    assert find_config_file(None, {}) == tmp_path / "refsync.toml"


def test_a_missing_file_is_told_with_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"nowhere.toml: there is no such config file \(--config.*refsync init PATH"):
        load_config(Path("nowhere.toml"), {})
    with pytest.raises(ConfigError, match=r"gone.toml: there is no such config file \(REFSYNC_CONFIG"):
        load_config(None, {"REFSYNC_CONFIG": "gone.toml"})
    if not PLACE.exists():
        with pytest.raises(
            ConfigError, match=r"looked for ./refsync.toml and /etc/refsync/refsync.toml; .*refsync init"
        ):
            load_config(None, {})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"state_directory = \n", "is no valid TOML: .*line 1"),
        (b'name = "\xff"', "byte 9 is not UTF-8"),
        (b"a = 1\na = 2\n", "is no valid TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_told_with_its_place(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "refsync.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{path}: {reason}"):
        load_config(path, {})


def test_a_folder_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path, {})


# Values and where they come from


def test_the_environment_wins_over_the_file() -> None:
    config = parse(
        f'state_directory = "/srv/state"\n{IMAGE}\n[apply]\nsettle_seconds = 1\nwhen = "manual"\n'
        '[log]\nlevel = "debug"',
        {
            "REFSYNC_STATE_DIRECTORY": "/srv/other",
            "REFSYNC_APPLY__SETTLE_SECONDS": "2.5",
            "REFSYNC_QUEUE__ONE_PROPOSAL_PER_MODEL": "true",
            "REFSYNC_TEST_DATA": "/anywhere",
            "HOME": "/root",
        },
    )
    assert config.state_directory == Path("/srv/other")
    assert (config.apply.settle_seconds, config.apply.when) == (2.5, "manual")
    assert config.queue.one_proposal_per_model is True
    assert config.log.level == "DEBUG"


def test_nothing_is_taken_from_this_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFSYNC_LOG__LEVEL", "ERROR")
    monkeypatch.setenv("LOG", '{"level": "ERROR"}')
    assert parse(IMAGE).log.level == "INFO"


def test_relative_paths_start_at_the_folder_of_the_config_file(tmp_path: Path) -> None:
    path = tmp_path / "refsync.toml"
    path.write_text('state_directory = "state"\n[[repository]]\nname = "image"\npath = "../clones/./image"\n')
    config = load_config(path, {})
    assert config.state_directory == tmp_path / "state"
    assert config.repositories[0].path == tmp_path.parent / "clones" / "image"


@pytest.mark.parametrize(
    "given",
    [
        'token_file = "KEY"',
        'ssh_key_file = "KEY"',
        'ssh_known_hosts_file = "KEY"',
        'app_id = 1\napp_installation_id = 2\napp_key_file = "KEY"',
    ],
)
def test_files_of_credentials_start_at_the_folder_of_the_config_file(given: str) -> None:
    name = given.split()[-3]
    (repository,) = parse(f"{IMAGE}[repository.credentials]\n{given.replace('KEY', '../keys/./a')}").repositories
    assert getattr(repository.credentials, name) == Path("/etc/keys/a")
    assert f"{PLACE}: repository.image.credentials.{name}: must be written out in full: ~" in problem(
        f"{IMAGE}[repository.credentials]\n{given.replace('KEY', '~/a')}"
    )
    assert problem(f"{IMAGE}[repository.credentials]\n{given.replace('KEY', '')}").endswith(
        "must be the path of a file"
    )


TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f'token_file = "{TOKEN}"', ".token_file: looks like a token itself; put that into a file"),
        (f'token_variable = "{TOKEN}"', ".token_variable: looks like a token itself; put that into a file"),
        (f'token_credential = "{TOKEN}"', ".token_credential: looks like a token itself; put that into a file"),
        (f'username = "{TOKEN}"', ".username: looks like a token itself; put that into a file"),
        ('username = "bob:s3cret"', ".username: must be a user name"),
        ('username = "bob\\ns3cret"', ".username: must be a user name"),
        ('token_variable = "s3cret-s3cret"', ".token_variable: must be the name of an environment variable, not its"),
        ('token_variable = ["s3cret"]', ".token_variable: must be a string"),
        ('token_credential = "a/s3cret"', ".token_credential: must be the name that LoadCredential= gives it"),
        ('token_file = ["s3cret"]', ".token_file: must be a string"),
        ('token = "s3cret"', ".token: is no known key; the nearest is token_file"),
        ('app_key_file = "a"', ".app_id: is needed too: a GitHub App has an id, an installation and a key"),
        ('token_variable = "A"\ntoken_file = "a"', ".token_variable: token_file is given too; name one place"),
    ],
)
def test_a_mistake_in_the_credentials_is_told_without_what_is_given(line: str, reason: str) -> None:
    told = problems(f"{IMAGE}[repository.credentials]\n{line}")
    assert f"{PLACE}: repository.image.credentials{reason}" in " ".join(told)
    assert TOKEN not in " ".join(told)
    assert "s3cret" not in " ".join(told)


def test_a_secret_in_place_of_the_credentials_table_is_not_shown() -> None:
    assert problem(f'{IMAGE}credentials = "s3cret"') == f"{PLACE}: repository.image.credentials: must be a table"


def test_sources_tell_where_secrets_are_but_no_secret(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    path = tmp_path / "refsync.toml"
    path.write_text(f'{IMAGE}[repository.credentials]\ntoken_file = "token"\n')
    told = sources(path, {"TOKEN": "s3cret"})
    assert told["repository.image.credentials.token_file"] == (f"{tmp_path}/token", "file")
    assert told["repository.image.credentials.username"] == ("x-access-token", "default")
    assert told["repository.image.push.attempts"] == (5, "default")
    assert "s3cret" not in json.dumps(told)


def test_settings_are_frozen_and_equal_when_they_say_the_same() -> None:
    config = parse(IMAGE)
    assert config == parse(IMAGE)
    assert config != parse(f"{IMAGE}[apply]\nsettle_seconds = 1")
    with pytest.raises(ValueError, match="frozen"):
        config.apply.when = "manual"  # type: ignore[misc]


def test_sources_tell_where_each_value_came_from(tmp_path: Path) -> None:
    path = tmp_path / "refsync.toml"
    path.write_text(
        f'{IMAGE}[repository.categories]\nblip = "other.json"\n[queue]\nurl = "postgresql://ada:se@cret@db/queue"\n'
    )
    told = sources(path, {"REFSYNC_GIT__TIMEOUT_SECONDS": "5"})
    assert told["state_directory"] == ("/var/lib/refsync", "default")
    assert told["git.timeout_seconds"] == (5.0, "environment")
    assert told["queue.url"] == ("postgresql://ada:***@db/queue", "file")
    assert told["repository.image.stamp_records"] == (False, "default")
    assert told["repository.image.categories.blip"] == ("other.json", "file")
    assert told["repository.image.categories.clip"] == ("clip.json", "default")
    json.dumps(told)


def test_only_what_the_running_daemon_cannot_take_up_needs_a_restart() -> None:
    old = parse(IMAGE)
    assert restart_keys(old, parse(f'{IMAGE}[apply]\nwhen = "manual"')) == []
    new = parse(f'state_directory = "/srv/state"\n{IMAGE}[queue]\nurl = "sqlite:////srv/q.db"')
    assert restart_keys(old, new) == ["state_directory", "queue.url"]


def test_reading_the_settings_loads_nothing_heavy() -> None:
    code = (
        "import sys; from refsync.config import parse_config; from pathlib import Path\n"
        f"parse_config({IMAGE!r}, Path('/x/refsync.toml'), {{}})\n"
        "heavy = {'sqlalchemy', 'git', 'watchdog', 'rich', 'httpx', 'pydantic_settings', 'loguru', 'asyncio'}\n"
        "print(*heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# Mistakes


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("apply.when", '"never"', "must be 'approval', 'schedule' or 'manual', not 'never'"),
        ("apply.settle_seconds", '"soon"', "must be a number, not 'soon'"),
        ("apply.settle_seconds", '"5"', "must be a number, not '5'"),
        ("apply.settle_seconds", "true", "must be a number, not True"),
        ("apply.settle_seconds", "-1", "must be at least 0, not -1"),
        ("apply.settle_seconds", "inf", "must be a finite number, not inf"),
        ("apply.settle_seconds", "nan", "must be a finite number, not nan"),
        ("watch.rescan_seconds", "0", "must be more than 0, not 0"),
        ("git.timeout_seconds", "0", "must be more than 0, not 0"),
        ("apply.schedule", '"every day"', "'every day' is no cron line of five fields such as '0 6 * * *'"),
        ("apply.schedule", '"0 25 * * *"', "'0 25 * * *' is no cron line of five fields such as '0 6 * * *'"),
        ("apply.schedule", '"0 6 30 2 *"', "'0 6 30 2 *' is a time that never comes"),
        ("apply.schedule", '"0 0 6 * * *"', "'0 0 6 * * *' is no cron line of five fields such as '0 6 * * *'"),
        ("commit.author", '"Ada"', "must be \"Name <mail>\", not 'Ada'"),
        ("commit.author", r'"Ada\nSigned-off-by: x <a@b>"', None),
        ("commit.author", '"Ada <a b>"', "must be \"Name <mail>\", not 'Ada <a b>'"),
        ("queue.url", '"here"', 'must be an SQLAlchemy URL such as "sqlite:////srv/queue.db", or empty'),
        ("queue.two_person_review", '"yes"', "must be true or false, not 'yes'"),
        ("queue.two_person_review", "1", "must be true or false, not 1"),
        ("log.format", '"xml"', "must be 'text' or 'json', not 'xml'"),
        ("log.level", "3", None),
        ("watch.mode", '"fsevents"', "must be 'auto', 'inotify' or 'polling', not 'fsevents'"),
        ("cache", "3", "must be a table, not 3"),
        ("state_directory", "3", "must be a string, not 3"),
        ("state_directory", '""', "must be the path of a folder"),
        (
            "state_directory",
            '"~/state"',
            "must be written out in full: ~ is another folder for the daemon than for you",
        ),
        ("apply.settle_second", "1", "is no known key; the nearest is settle_seconds"),
        ("settle_seconds", "1", "is no known key; the nearest is apply.settle_seconds"),
        ("aply.when", '"manual"', None),
    ],
)
def test_a_wrong_value_is_told_with_file_key_and_reason(key: str, value: str, reason: str | None) -> None:
    told = problem(f"{key} = {value}\n{IMAGE}")
    assert told.startswith(f"{PLACE}: {key.replace('aply.when', 'aply')}: ")
    if reason:
        assert told == f"{PLACE}: {key}: {reason}"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            'publish = "mail"',
            "repository.image.publish: must be 'local', 'push', 'branch' or 'pull_request', not 'mail'",
        ),
        ('layout = "flat"', "repository.image.layout: must be 'upstream' or 'primary', not 'flat'"),
        ('lay_out = "primary"', "repository.image.lay_out: is no known key; the nearest is layout"),
        ('branch = "-d"', "repository.image.branch: must be a branch name as `git branch` shows it, not '-d'"),
        ('branch = "a..b"', "repository.image.branch: must be a branch name as `git branch` shows it, not 'a..b'"),
        ('stamp_records = "yes"', "repository.image.stamp_records: must be true or false, not 'yes'"),
        ('categories.blib = "blip.json"', "repository.image.categories.blib: is no category; the nearest is blip"),
        (
            'categories.blip = "../blip.json"',
            "repository.image.categories.blip: '../blip.json' is a path outside the clone; "
            "write it relative to the clone's folder",
        ),
        (
            'categories.blip = "/srv/blip.json"',
            "repository.image.categories.blip: '/srv/blip.json' is a path outside the clone; "
            "write it relative to the clone's folder",
        ),
        (
            'categories.blip = ".GIT/config"',
            "repository.image.categories.blip: '.GIT/config' is git's own; name a file of the work tree",
        ),
        ('categories.blip = ""', "repository.image.categories.blip: '' is no file name"),
        ('categories.blip = "a/"', "repository.image.categories.blip: 'a/' is no file name"),
        (
            'categories.blip = "blip.CSV"',
            "repository.image.categories.blip: 'blip.CSV' is a CSV table, which is written only for "
            "text_generation of layout 'upstream'; name a JSON file",
        ),
        (
            'layout = "primary"\ncategories.text_generation = "models.csv"',
            "repository.image.categories.text_generation: 'models.csv' is a CSV table, which is written only "
            "for text_generation of layout 'upstream'; name a JSON file",
        ),
        (
            'stamp_records = true\ncategories.text_generation = "models.csv"',
            "repository.image.stamp_records: no column of a CSV table holds a stamp; leave it false for this "
            "repository",
        ),
        (
            'categories.text_generation = "models.csv"\ncategories.blip = "db.json"',
            "repository.image.categories: 'db.json' is the file of blip (legacy) and of text_generation (legacy); "
            "give each its own",
        ),
        (
            'categories.blip = "./clip.json"',
            "repository.image.categories: 'clip.json' is the file of blip (legacy) and of clip (legacy); "
            "give each its own",
        ),
        (
            'categories.lora = "lora.json"',
            "repository.image.categories.lora: has no legacy format; only a clone of layout 'primary' can hold it",
        ),
        (
            'critical_fields.lora = ["nsfw"]',
            "repository.image.critical_fields.lora: is a category that this repository does not hold",
        ),
        ('critical_fields.blip = "nsfw"', "repository.image.critical_fields.blip: must be a list, not 'nsfw'"),
        ('check.commands = "test"', "repository.image.check.commands: must be a list, not 'test'"),
        ("check.commands = ['']", "repository.image.check.commands[1]: names no program"),
        (
            """check.commands = ['test', "sh -c 'x"]""",
            """repository.image.check.commands[2]: "sh -c 'x" is no command line: no closing quotation""",
        ),
        ("check.commands = [['test', 3]]", "repository.image.check.commands[1][2]: must be a string, not 3"),
        ("check.timeout_seconds = true", "repository.image.check.timeout_seconds: must be a number, not True"),
        ("check.comands = []", "repository.image.check.comands: is no known key; the nearest is commands"),
    ],
)
def test_a_wrong_repository_key_is_told_with_the_repository_name(line: str, reason: str) -> None:
    assert problem(f"{IMAGE}{line}") == f"{PLACE}: {reason}"


@pytest.mark.parametrize("name", ["", ".hidden", "-x", "a/b", "..", "a b", "ä", "a\\n"])
def test_a_repository_name_that_is_no_folder_name_is_refused(name: str) -> None:
    told = problem(f'[[repository]]\nname = "{name}"\npath = "/srv/image"')
    assert told.startswith(f"{PLACE}: repository")
    assert ".name: must be letters, digits" in told or "[1].name: must be letters, digits" in told


@pytest.mark.parametrize("text", ["", "repository = []", '[repository]\nname = "image"'])
def test_without_a_repository_the_next_step_is_told(text: str) -> None:
    assert problem(text) == (
        f"{PLACE}: repository: at least one [[repository]] is needed; `refsync init PATH` writes it"
    )


def test_a_repository_without_name_goes_by_its_number() -> None:
    assert problem(f'{IMAGE}[[repository]]\npath = "/srv/other"') == f"{PLACE}: repository[2].name: is required"


def test_two_repositories_share_neither_name_nor_path() -> None:
    told = problems(f'{IMAGE}[[repository]]\nname = "image"\npath = "/srv/../srv/image"\nlayout = "primary"')
    assert (
        told[0] == f"{PLACE}: repository.image.name: another repository is called 'image' too; give each its own name"
    )
    assert told[1] == (
        f"{PLACE}: repository.image.path: is the clone of repository 'image' too; one repository serves one clone"
    )


def test_a_link_to_a_clone_is_the_same_clone(tmp_path: Path) -> None:
    (tmp_path / "clone").mkdir()
    (tmp_path / "link").symlink_to("clone")
    text = two().replace("/srv/image", f"{tmp_path}/clone").replace("/srv/text", f"{tmp_path}/link")
    assert "is the clone of repository 'image' too" in problems(text)[0]


def test_the_state_directory_stays_out_of_the_clones() -> None:
    assert problem(f'state_directory = "/srv/image/state"\n{IMAGE}') == (
        f"{PLACE}: state_directory: lies inside the clone of repository 'image'; name a folder outside"
    )


def test_unknown_variables_are_refused_with_the_nearest_known_name() -> None:
    told = problems(IMAGE, {"REFSYNC_APLY__WHEN": "manual", "REFSYNC_REPOSITORY__0__PATH": "/x"})
    assert told == (
        "REFSYNC_APLY__WHEN: is no known variable; the nearest is REFSYNC_APPLY__WHEN",
        "REFSYNC_REPOSITORY__0__PATH: a repository cannot be set by environment; edit the config file",
    )


def test_a_wrong_variable_is_told_by_its_own_name() -> None:
    assert problem(IMAGE, {"REFSYNC_APPLY__SETTLE_SECONDS": "soon"}) == (
        "REFSYNC_APPLY__SETTLE_SECONDS: must be a number, not 'soon'"
    )
    assert problem(IMAGE, {"REFSYNC_STATE_DIRECTORY": "/srv/image"}).startswith("REFSYNC_STATE_DIRECTORY: lies inside")


def test_a_table_given_as_a_variable_is_refused() -> None:
    assert "is no known variable" in problem(IMAGE, {"REFSYNC_APPLY": '{"when": "manual"}'})


def test_all_problems_are_collected_and_the_text_says_how_many_more() -> None:
    with pytest.raises(ConfigError) as refusal:
        parse('aply = 1\n[[repository]]\nname = "image"\n[log]\nlevel = "loud"')
    assert len(refusal.value.problems) == 3
    assert str(refusal.value) == f"{refusal.value.problems[0]} (and 2 more: refsync config check)"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), min_size=1, max_size=30))
def test_whatever_stands_in_a_key_or_value_the_problem_is_one_line(anything: str) -> None:
    quoted = json.dumps(f"{anything}?", ensure_ascii=False)  # no known name ends like this
    told = problems(
        f"{IMAGE}branch = '-'\nlayout = {quoted}\ncategories.{quoted} = 'a.json'\n[apply]\n{quoted} = {quoted}"
    )
    assert len(told) == 4
    assert all(line.isprintable() for line in told)


# Which repository holds which category


def test_an_upstream_clone_holds_the_nine_legacy_json_files() -> None:
    (repository,) = parse(IMAGE).repositories
    assert [*repository.files] == [category for category in C if SPECIFIED[category].upstream_repository == "image"]
    assert repository.files[C.image_generation] == {CanonicalFormat.legacy: "stable_diffusion.json"}
    assert (repository.format, repository.stamps) == (CanonicalFormat.legacy, False)


def test_a_primary_clone_holds_both_formats() -> None:
    (repository,) = parse(f'{IMAGE}layout = "primary"').repositories
    assert repository.layout is Layout.primary
    assert [*repository.files] == [*C]
    assert repository.files[C.blip] == {CanonicalFormat.v2: "blip.json", CanonicalFormat.legacy: "legacy/blip.json"}
    text = {CanonicalFormat.v2: "text_generation.json", CanonicalFormat.legacy: "legacy/models.csv"}
    assert repository.files[C.text_generation] == text
    assert repository.tables == {}
    assert (repository.format, repository.stamps) == (CanonicalFormat.v2, True)


def test_of_a_listed_table_readers_get_the_document_beside_it() -> None:
    (repository,) = parse(f'{IMAGE}categories.text_generation = "data/models.csv"').repositories
    assert repository.files[C.text_generation] == {CanonicalFormat.legacy: "data/db.json"}
    assert repository.tables == {C.text_generation: "data/models.csv"}


def test_what_is_listed_replaces_the_file_of_the_written_format() -> None:
    (upstream,) = parse(f'{IMAGE}categories.text_generation = "data/./db.json"').repositories
    assert upstream.files[C.text_generation] == {CanonicalFormat.legacy: "data/db.json"}
    (primary,) = parse(f'{IMAGE}layout = "primary"\ncategories.blip = "b.json"').repositories
    assert primary.files[C.blip] == {CanonicalFormat.v2: "b.json", CanonicalFormat.legacy: "legacy/blip.json"}


def test_stamps_follow_the_config_where_it_says_so() -> None:
    assert parse(f"{IMAGE}stamp_records = true").repositories[0].stamps
    assert not parse(f'{IMAGE}layout = "primary"\nstamp_records = false').repositories[0].stamps


def test_a_category_listed_by_one_repository_is_no_default_of_the_other() -> None:
    names = [category for category in C if SPECIFIED[category].upstream_repository == "image"]
    listed = "\n".join(f'categories.{name} = "{name}.json"' for name in names)
    config = parse(two(listed, 'categories.text_generation = "db.json"'))
    assert [*config.repositories[1].files] == [C.text_generation]
    for category in names:
        assert config.repository_of(category) == config.repositories[0]
    assert config.repository_of(C.text_generation) == config.repositories[1]
    assert config.repository_of(C.lora) is None


def test_a_category_listed_by_two_repositories_is_refused() -> None:
    lines = 'categories.blip = "blip.json"\n'
    told = problems(two(lines, lines))
    assert told[0] == (
        f"{PLACE}: repository.text.categories.blip: is listed by repository 'image' too; a category belongs to one"
    )


def test_a_default_of_two_repositories_is_refused_with_advice() -> None:
    told = problem(two('categories.blip = "blip.json"'))
    assert told == (
        f"{PLACE}: repository: 'image' and 'text' both hold by default: clip, codeformer, controlnet, esrgan, gfpgan, "
        "safety_checker, image_generation, miscellaneous; "
        "list each under [repository.categories] of the one that it belongs to"
    )


def test_critical_fields_are_the_built_in_ones_unless_listed() -> None:
    config = parse(f'{IMAGE}critical_fields.blip = ["config.files"]')
    assert config.critical_fields() == {
        category: ("config.files",) if category is C.blip else descriptor.critical_fields
        for category, descriptor in SPECIFIED.descriptors.items()
    }
