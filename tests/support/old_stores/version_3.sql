BEGIN TRANSACTION;
CREATE TABLE batches (
	number BIGINT NOT NULL, 
	title TEXT NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	repository TEXT, 
	job VARCHAR(64), 
	reason TEXT, 
	base_commit VARCHAR(64), 
	"commit" VARCHAR(64), 
	split_from BIGINT, 
	proposal JSON, 
	opened_at FLOAT NOT NULL, 
	last_approved_at FLOAT, 
	sealed_at FLOAT, 
	landed_at FLOAT, 
	PRIMARY KEY (number), 
	UNIQUE (job)
);
INSERT INTO "batches" VALUES(1,'Batch of m0','held','models','6f3a46899ebf4793a766cafd33f78d51','clip.json has local edits in the clone; commit or undo them',NULL,NULL,NULL,NULL,1.79569726822847819326e+09,1.79569726822955512998e+09,1.79569726823337507248e+09,NULL);
INSERT INTO "batches" VALUES(2,'Batch of m1','held','models','1e23300446264632909c5cdc6be963f3','check `make lint` failed with exit code 1: no; change 2 (create clip ''m1'') breaks it','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',NULL,NULL,1795697268.23696,1.79569726823755359645e+09,1.79569726823954772948e+09,NULL);
INSERT INTO "batches" VALUES(3,'Batch of m2','held','models','81ad2354d0b14d7db42f0ff6ae6ae6d7','origin refuses the push to main: a hook says no; then: refsync batch retry 3','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',NULL,NULL,1.79569726824313950536e+09,1.79569726824358963965e+09,1.79569726824582839006e+09,NULL);
INSERT INTO "batches" VALUES(4,'Batch of m3','held','models','481e36a29f894ae297cbcd4c5e7eceee','pull request 7 was closed by ada without being merged; reopen it, or: refsync batch retry 4',NULL,NULL,NULL,'{"branch": "refsync/batch-4-abc", "head": "0000000000000000000000000000000000000000", "opened_at": 1795697268.2953217, "pushed_by_others": false, "number": 7, "url": null, "state": "closed", "checks": "2 passed, 1 failed", "reviews": "approved by ada", "waits_for": null, "warnings": [], "overlaps": [], "is_complete": false, "is_stale": false, "is_over": false}',1795697268.24927,1.7956972682497494221e+09,1.79569726825176668172e+09,NULL);
INSERT INTO "batches" VALUES(5,'Batch of m4','held','models','d6bcec88001a49cca1f301ae23314586','its branch refsync/batch-5-abc was deleted on origin; restore it, or: refsync batch retry 5',NULL,NULL,NULL,'{"branch": "refsync/batch-5-abc", "head": "0000000000000000000000000000000000000000", "opened_at": 1795697268.2985337, "pushed_by_others": false, "number": null, "url": null, "state": "branch deleted", "checks": "2 passed, 1 failed", "reviews": "approved by ada", "waits_for": null, "warnings": [], "overlaps": [], "is_complete": false, "is_stale": false, "is_over": false}',1.79569726825515580174e+09,1795697268.25557,1.79569726825747251509e+09,NULL);
INSERT INTO "batches" VALUES(6,'Batch of m5','held','models','9c8c23f9e08e4b31b978d3efabf3f5d9','it was proposed as refsync/batch-6-abc, but `publish` is local now; set it back, or: refsync batch retry 6',NULL,NULL,NULL,'{"branch": "refsync/batch-6-abc", "head": "0000000000000000000000000000000000000000", "opened_at": 1795697268.3016758, "pushed_by_others": false, "number": null, "url": null, "state": "not followed", "checks": "2 passed, 1 failed", "reviews": "approved by ada", "waits_for": null, "warnings": [], "overlaps": [], "is_complete": false, "is_stale": false, "is_over": false}',1.79569726826086497302e+09,1.7956972682614114284e+09,1.79569726826337575913e+09,NULL);
INSERT INTO "batches" VALUES(7,'Batch of m6','held','models','01f83d70de2642858272f33302b558a9','batch 1 touches ''m6'' too and has not landed',NULL,NULL,NULL,NULL,1.795697268266876936e+09,1.79569726826733136178e+09,1.79569726826950263982e+09,NULL);
INSERT INTO "batches" VALUES(8,'Batch of m7','held','models','2c04bd91268640a3a405981e093f5800','no repository of the config holds lora',NULL,NULL,NULL,NULL,1.79569726827374839782e+09,1.79569726827422380443e+09,1.79569726827613544467e+09,NULL);
INSERT INTO "batches" VALUES(9,'Batch of m8','held','models','155ee6af5773453aac427b49d2f2fe1e','somebody else was quicker 5 times: the branch moved; it is tried again',NULL,NULL,NULL,NULL,1.7956972682793233395e+09,1.79569726827979707717e+09,1.79569726828226780895e+09,NULL);
INSERT INTO "batches" VALUES(10,'Batch of m9','held','models','06251c47cc1b4788b1cb3257a5392ebf','something that no refsync ever said',NULL,NULL,NULL,NULL,1.79569726828566408154e+09,1.79569726828619718548e+09,1.79569726828824162488e+09,NULL);
INSERT INTO "batches" VALUES(11,'Batch of landed','landed','models','1389894fbf3e41539cbca4f243693713',NULL,NULL,'1111111111111111111111111111111111111111',NULL,NULL,1.7956972683148171902e+09,1.79569726831527161597e+09,1.79569726831731390952e+09,1.795697268321366787e+09);
INSERT INTO "batches" VALUES(12,'Batch of gone','abandoned','models','d880e232b67e4b3b9fbaa669f47acd03','not wanted',NULL,NULL,NULL,NULL,1.79569726832498049737e+09,1.79569726832661271092e+09,1.7956972683287026882e+09,NULL);
CREATE TABLE changes (
	change_id BIGINT NOT NULL, 
	category VARCHAR(64) NOT NULL, 
	model_name TEXT NOT NULL, 
	operation VARCHAR(32) NOT NULL, 
	payload JSON, 
	requested_by TEXT NOT NULL, 
	requested_username TEXT NOT NULL, 
	requested_at BIGINT NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	notes TEXT, 
	batch_id BIGINT, 
	batch_title TEXT, 
	approved_by TEXT, 
	approved_username TEXT, 
	approved_at BIGINT, 
	rejected_by TEXT, 
	rejected_username TEXT, 
	rejected_at BIGINT, 
	reject_reason TEXT, 
	applied_at BIGINT, 
	applied_by TEXT, 
	applied_username TEXT, 
	applied_job_id TEXT, 
	updated_at BIGINT NOT NULL, 
	request_metadata JSON, 
	related_models JSON, 
	base JSON, 
	base_known BOOLEAN NOT NULL, 
	"commit" VARCHAR(64), 
	os_user TEXT, 
	reverts BIGINT, 
	unknown_fields JSON, 
	PRIMARY KEY (change_id), 
	FOREIGN KEY(batch_id) REFERENCES batches (number)
);
INSERT INTO "changes" VALUES(1,'clip','m0','create','{"name": "m0", "size": 1.5}','1','Ada',1795697268,'approved',NULL,1,'Batch of m0','2','Bob',1795697268,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795697268,NULL,NULL,NULL,0,NULL,'ada',NULL,NULL);
INSERT INTO "changes" VALUES(2,'clip','m1','create','{"name": "m1", "size": 1.5}','1','Ada',1795697268,'approved',NULL,2,'Batch of m1','2','Bob',1795697268,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795697268,NULL,NULL,NULL,0,NULL,'ada',NULL,NULL);
INSERT INTO "changes" VALUES(3,'clip','m2','create','{"name": "m2", "size": 1.5}','1','Ada',1795697268,'approved',NULL,3,'Batch of m2','2','Bob',1795697268,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795697268,NULL,NULL,NULL,0,NULL,'ada',NULL,NULL);
INSERT INTO "changes" VALUES(4,'clip','m3','create','{"name": "m3", "size": 1.5}','1','Ada',1795697268,'approved',NULL,4,'Batch of m3','2','Bob',1795697268,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795697268,NULL,NULL,NULL,0,NULL,'ada',NULL,NULL);
INSERT INTO "changes" VALUES(5,'clip','m4','create','{"name": "m4", "size": 1.5}','1','Ada',1795697268,'approved',NULL,5,'Batch of m4','2','Bob',1795697268,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795697268,NULL,NULL,NULL,0,NULL,'ada',NULL,NULL);
INSERT INTO "changes" VALUES(6,'clip','m5','create','{"name": "m5", "size": 1.5}','1','Ada',1795697268,'approved',NULL,6,'Batch of m5','2','Bob',1795697268,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795697268,NULL,NULL,NULL,0,NULL,'ada',NULL,NULL);
INSERT INTO "changes" VALUES(7,'clip','m6','create','{"name": "m6", "size": 1.5}','1','Ada',1795697268,'approved',NULL,7,'Batch of m6','2','Bob',1795697268,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795697268,NULL,NULL,NULL,0,NULL,'ada',NULL,NULL);
INSERT INTO "changes" VALUES(8,'clip','m7','create','{"name": "m7", "size": 1.5}','1','Ada',1795697268,'approved',NULL,8,'Batch of m7','2','Bob',1795697268,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795697268,NULL,NULL,NULL,0,NULL,'ada',NULL,NULL);
INSERT INTO "changes" VALUES(9,'clip','m8','create','{"name": "m8", "size": 1.5}','1','Ada',1795697268,'approved',NULL,9,'Batch of m8','2','Bob',1795697268,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795697268,NULL,NULL,NULL,0,NULL,'ada',NULL,NULL);
INSERT INTO "changes" VALUES(10,'clip','m9','create','{"name": "m9", "size": 1.5}','1','Ada',1795697268,'approved',NULL,10,'Batch of m9','2','Bob',1795697268,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795697268,NULL,NULL,NULL,0,NULL,'ada',NULL,NULL);
INSERT INTO "changes" VALUES(11,'clip','waits','create','{"name": "waits", "size": 1.5}','1','Ada',1795697268,'pending',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795697268,NULL,NULL,NULL,0,NULL,'ada',NULL,NULL);
INSERT INTO "changes" VALUES(12,'clip','landed','create','{"name": "landed", "size": 1.5}','1','Ada',1795697268,'applied',NULL,11,'Batch of landed','2','Bob',1795697268,NULL,NULL,NULL,NULL,1795697268,'refsync','refsync','1389894fbf3e41539cbca4f243693713',1795697268,NULL,NULL,NULL,0,'1111111111111111111111111111111111111111','ada',NULL,NULL);
INSERT INTO "changes" VALUES(13,'clip','gone','create','{"name": "gone", "size": 1.5}','1','Ada',1795697268,'rejected',NULL,12,'Batch of gone','2','Bob',1795697268,'refsync','refsync',1795697268,'not wanted',NULL,NULL,NULL,NULL,1795697268,NULL,NULL,NULL,0,NULL,'ada',NULL,NULL);
CREATE TABLE counters (
	name VARCHAR(32) NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "counters" VALUES('change',13);
INSERT INTO "counters" VALUES('batch',12);
CREATE TABLE events (
	event_id INTEGER NOT NULL, 
	change_id BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	from_status VARCHAR(32), 
	to_status VARCHAR(32), 
	why TEXT, 
	"by" TEXT NOT NULL, 
	username TEXT NOT NULL, 
	os_user TEXT, 
	batch_id BIGINT, 
	PRIMARY KEY (event_id)
);
INSERT INTO "events" VALUES(1,1,1795697268,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(2,1,1795697268,'pending','approved',NULL,'2','Bob',NULL,1);
INSERT INTO "events" VALUES(3,2,1795697268,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(4,2,1795697268,'pending','approved',NULL,'2','Bob',NULL,2);
INSERT INTO "events" VALUES(5,3,1795697268,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(6,3,1795697268,'pending','approved',NULL,'2','Bob',NULL,3);
INSERT INTO "events" VALUES(7,4,1795697268,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(8,4,1795697268,'pending','approved',NULL,'2','Bob',NULL,4);
INSERT INTO "events" VALUES(9,5,1795697268,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(10,5,1795697268,'pending','approved',NULL,'2','Bob',NULL,5);
INSERT INTO "events" VALUES(11,6,1795697268,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(12,6,1795697268,'pending','approved',NULL,'2','Bob',NULL,6);
INSERT INTO "events" VALUES(13,7,1795697268,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(14,7,1795697268,'pending','approved',NULL,'2','Bob',NULL,7);
INSERT INTO "events" VALUES(15,8,1795697268,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(16,8,1795697268,'pending','approved',NULL,'2','Bob',NULL,8);
INSERT INTO "events" VALUES(17,9,1795697268,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(18,9,1795697268,'pending','approved',NULL,'2','Bob',NULL,9);
INSERT INTO "events" VALUES(19,10,1795697268,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(20,10,1795697268,'pending','approved',NULL,'2','Bob',NULL,10);
INSERT INTO "events" VALUES(21,11,1795697268,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(22,12,1795697268,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(23,12,1795697268,'pending','approved',NULL,'2','Bob',NULL,11);
INSERT INTO "events" VALUES(24,12,1795697268,'approved','applied','landed in 1111111111111111111111111111111111111111','refsync','refsync',NULL,11);
INSERT INTO "events" VALUES(25,13,1795697268,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(26,13,1795697268,'pending','approved',NULL,'2','Bob',NULL,12);
INSERT INTO "events" VALUES(27,13,1795697268,'approved','rejected','not wanted','refsync','refsync',NULL,12);
CREATE TABLE leftovers (
	leftover_id INTEGER NOT NULL, 
	content TEXT NOT NULL, 
	problem TEXT NOT NULL, 
	PRIMARY KEY (leftover_id)
);
CREATE TABLE repositories (
	name VARCHAR(255) NOT NULL, 
	last_landed_commit VARCHAR(64), 
	last_landed_at FLOAT, 
	last_error TEXT, 
	last_error_at FLOAT, 
	last_pass_at FLOAT, 
	PRIMARY KEY (name)
);
INSERT INTO "repositories" VALUES('models',NULL,NULL,NULL,NULL,1.5);
CREATE TABLE schema_version (
	version INTEGER NOT NULL
);
INSERT INTO "schema_version" VALUES(3);
CREATE INDEX batches_by_state ON batches (state);
CREATE UNIQUE INDEX one_open_batch ON batches (state) WHERE state = 'open';
CREATE INDEX ix_events_change_id ON events (change_id);
CREATE INDEX changes_by_model ON changes (category, model_name);
CREATE INDEX ix_changes_batch_id ON changes (batch_id);
CREATE INDEX changes_by_status ON changes (status);
COMMIT;
