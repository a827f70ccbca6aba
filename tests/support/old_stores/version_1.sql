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
	opened_at FLOAT NOT NULL, 
	last_approved_at FLOAT, 
	sealed_at FLOAT, 
	landed_at FLOAT, 
	PRIMARY KEY (number), 
	UNIQUE (job)
);
INSERT INTO "batches" VALUES(1,'Batch of m0','held','models','1aa0c1f98b06417cbe12c9a71a8833f3','clip.json has local edits; commit or undo them',NULL,NULL,NULL,1.79569726777686548228e+09,1.79569726777787804601e+09,1.79569726778128957748e+09,NULL);
INSERT INTO "batches" VALUES(2,'Batch of m1','held','models','f724e7c52bea46829aef5ebfcce91a7e','check `make lint` failed with exit code 1: no; change 2 (create clip ''m1'') breaks it',NULL,NULL,NULL,1.79569726778467488289e+09,1795697267.78519,1.79569726778718328479e+09,NULL);
INSERT INTO "batches" VALUES(3,'Batch of landed','landed','models','94ecf2817ed546b98eefb787ecb84d27',NULL,NULL,'1111111111111111111111111111111111111111',NULL,1.7956972677957737446e+09,1.79569726779623389245e+09,1.79569726779813599584e+09,1795697267.80209);
INSERT INTO "batches" VALUES(4,'Batch of gone','abandoned','models','779624dc3ea54c758a34400924044dd9','not wanted',NULL,NULL,NULL,1.79569726780582571024e+09,1.79569726780626416203e+09,1.79569726780807280537e+09,NULL);
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
	unknown_fields JSON, 
	PRIMARY KEY (change_id), 
	FOREIGN KEY(batch_id) REFERENCES batches (number)
);
INSERT INTO "changes" VALUES(1,'clip','m0','create','{"name": "m0", "size": 1.5}','1','Ada',1795697267,'approved',NULL,1,'Batch of m0','2','Bob',1795697267,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795697267,NULL,NULL,NULL,0,NULL,'ada',NULL);
INSERT INTO "changes" VALUES(2,'clip','m1','create','{"name": "m1", "size": 1.5}','1','Ada',1795697267,'approved',NULL,2,'Batch of m1','2','Bob',1795697267,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795697267,NULL,NULL,NULL,0,NULL,'ada',NULL);
INSERT INTO "changes" VALUES(3,'clip','waits','create','{"name": "waits", "size": 1.5}','1','Ada',1795697267,'pending',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795697267,NULL,NULL,NULL,0,NULL,'ada',NULL);
INSERT INTO "changes" VALUES(4,'clip','landed','create','{"name": "landed", "size": 1.5}','1','Ada',1795697267,'applied',NULL,3,'Batch of landed','2','Bob',1795697267,NULL,NULL,NULL,NULL,1795697267,'refsync','refsync','94ecf2817ed546b98eefb787ecb84d27',1795697267,NULL,NULL,NULL,0,'1111111111111111111111111111111111111111','ada',NULL);
INSERT INTO "changes" VALUES(5,'clip','gone','create','{"name": "gone", "size": 1.5}','1','Ada',1795697267,'rejected',NULL,4,'Batch of gone','2','Bob',1795697267,'refsync','refsync',1795697267,'not wanted',NULL,NULL,NULL,NULL,1795697267,NULL,NULL,NULL,0,NULL,'ada',NULL);
CREATE TABLE counters (
	name VARCHAR(32) NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "counters" VALUES('change',5);
INSERT INTO "counters" VALUES('batch',4);
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
INSERT INTO "events" VALUES(1,1,1795697267,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(2,1,1795697267,'pending','approved',NULL,'2','Bob',NULL,1);
INSERT INTO "events" VALUES(3,2,1795697267,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(4,2,1795697267,'pending','approved',NULL,'2','Bob',NULL,2);
INSERT INTO "events" VALUES(5,3,1795697267,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(6,4,1795697267,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(7,4,1795697267,'pending','approved',NULL,'2','Bob',NULL,3);
INSERT INTO "events" VALUES(8,4,1795697267,'approved','applied','landed in 1111111111111111111111111111111111111111','refsync','refsync',NULL,3);
INSERT INTO "events" VALUES(9,5,1795697267,NULL,'pending',NULL,'1','Ada','ada',NULL);
INSERT INTO "events" VALUES(10,5,1795697267,'pending','approved',NULL,'2','Bob',NULL,4);
INSERT INTO "events" VALUES(11,5,1795697267,'approved','rejected','not wanted','refsync','refsync',NULL,4);
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
INSERT INTO "schema_version" VALUES(1);
CREATE UNIQUE INDEX one_open_batch ON batches (state) WHERE state = 'open';
CREATE INDEX batches_by_state ON batches (state);
CREATE INDEX ix_events_change_id ON events (change_id);
CREATE INDEX ix_changes_batch_id ON changes (batch_id);
CREATE INDEX changes_by_model ON changes (category, model_name);
CREATE INDEX changes_by_status ON changes (status);
COMMIT;
