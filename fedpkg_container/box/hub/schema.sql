-- SPDX-License-Identifier: GPL-2.0-or-later
-- The box's hub. Times are seconds since the epoch; JSON is stored as text.
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, tag_id INTEGER -- the changed tag, if any
);
CREATE INDEX IF NOT EXISTS events_by_tag ON events(tag_id);
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, status INTEGER NOT NULL DEFAULT 0,
    usertype INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS passwords (
    user_id INTEGER PRIMARY KEY REFERENCES users(id), salt BLOB NOT NULL, hash BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS permissions (
    user_id INTEGER NOT NULL REFERENCES users(id), permission TEXT NOT NULL, PRIMARY KEY (user_id, permission)
);
-- The permissions that can be granted: those that this hub evaluates, and added ones.
CREATE TABLE IF NOT EXISTS permission_names (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, description TEXT
);
INSERT OR IGNORE INTO permission_names (id, name, description) VALUES
    (1, 'admin', 'All actions'),
    (2, 'host', 'Add and change hosts and channels'),
    (3, 'repo', 'Create repositories'),
    (4, 'tag', 'Add and change tags and their package lists'),
    (5, 'target', 'Add and change build targets');
CREATE TABLE IF NOT EXISTS group_members (
    group_id INTEGER NOT NULL REFERENCES users(id), member_id INTEGER NOT NULL REFERENCES users(id),
    PRIMARY KEY (group_id, member_id)
);
CREATE TABLE IF NOT EXISTS sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, user_id INTEGER NOT NULL REFERENCES users(id),
    authtype INTEGER NOT NULL, hostip TEXT NOT NULL, master INTEGER, callnum INTEGER, exclusive INTEGER NOT NULL DEFAULT 0,
    closed INTEGER NOT NULL DEFAULT 0, expired INTEGER NOT NULL DEFAULT 0, start_time REAL NOT NULL, update_time REAL NOT NULL,
    renew_time REAL
);
CREATE TABLE IF NOT EXISTS channels (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, description TEXT, comment TEXT,
    enabled INTEGER NOT NULL DEFAULT 1
);
CREATE TABLE IF NOT EXISTS hosts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL UNIQUE REFERENCES users(id), name TEXT NOT NULL UNIQUE,
    arches TEXT NOT NULL, capacity REAL NOT NULL DEFAULT 2.0, description TEXT, comment TEXT,
    enabled INTEGER NOT NULL DEFAULT 1, task_load REAL NOT NULL DEFAULT 0.0, ready INTEGER NOT NULL DEFAULT 0,
    update_time REAL, data TEXT
);
CREATE TABLE IF NOT EXISTS host_channels (
    host_id INTEGER NOT NULL REFERENCES hosts(id), channel_id INTEGER NOT NULL REFERENCES channels(id),
    PRIMARY KEY (host_id, channel_id)
);
CREATE TABLE IF NOT EXISTS tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, state INTEGER NOT NULL, create_time REAL NOT NULL, start_time REAL,
    completion_time REAL, channel_id INTEGER REFERENCES channels(id), host_id INTEGER REFERENCES hosts(id),
    parent INTEGER REFERENCES tasks(id), label TEXT, waiting INTEGER, awaited INTEGER, owner INTEGER NOT NULL REFERENCES users(id),
    method TEXT NOT NULL, arch TEXT NOT NULL, priority INTEGER NOT NULL, weight REAL NOT NULL DEFAULT 1.0,
    request TEXT NOT NULL, result TEXT
);
CREATE INDEX IF NOT EXISTS tasks_by_state ON tasks(state);
CREATE INDEX IF NOT EXISTS tasks_by_parent ON tasks(parent);
CREATE TABLE IF NOT EXISTS refusals (
    task_id INTEGER NOT NULL REFERENCES tasks(id), host_id INTEGER NOT NULL REFERENCES hosts(id), soft INTEGER NOT NULL,
    message TEXT NOT NULL, time REAL NOT NULL, PRIMARY KEY (task_id, host_id)
);
CREATE TABLE IF NOT EXISTS tags (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, arches TEXT, locked INTEGER NOT NULL DEFAULT 0,
    perm_id INTEGER, extra TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE IF NOT EXISTS inheritance (
    tag_id INTEGER NOT NULL REFERENCES tags(id), parent_id INTEGER NOT NULL REFERENCES tags(id), priority INTEGER NOT NULL,
    PRIMARY KEY (tag_id, priority)
);
CREATE TABLE IF NOT EXISTS targets (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, build_tag INTEGER NOT NULL REFERENCES tags(id),
    dest_tag INTEGER NOT NULL REFERENCES tags(id)
);
CREATE TABLE IF NOT EXISTS packages (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS tag_packages (
    tag_id INTEGER NOT NULL REFERENCES tags(id), package_id INTEGER NOT NULL REFERENCES packages(id),
    owner INTEGER NOT NULL REFERENCES users(id), blocked INTEGER NOT NULL DEFAULT 0, extra_arches TEXT,
    PRIMARY KEY (tag_id, package_id)
);
CREATE TABLE IF NOT EXISTS content_generators (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS content_generator_users (
    cg_id INTEGER NOT NULL REFERENCES content_generators(id), user_id INTEGER NOT NULL REFERENCES users(id),
    PRIMARY KEY (cg_id, user_id)
);
CREATE TABLE IF NOT EXISTS builds (
    id INTEGER PRIMARY KEY AUTOINCREMENT, package_id INTEGER NOT NULL REFERENCES packages(id), version TEXT NOT NULL,
    release TEXT NOT NULL, epoch INTEGER, state INTEGER NOT NULL, task_id INTEGER, owner INTEGER NOT NULL REFERENCES users(id),
    source TEXT, extra TEXT, cg_id INTEGER REFERENCES content_generators(id), event_id INTEGER NOT NULL REFERENCES events(id),
    start_time REAL, completion_time REAL, UNIQUE (package_id, version, release)
);
CREATE TABLE IF NOT EXISTS build_types (
    build_id INTEGER NOT NULL REFERENCES builds(id), btype TEXT NOT NULL, PRIMARY KEY (build_id, btype)
);
CREATE TABLE IF NOT EXISTS reservations (
    build_id INTEGER PRIMARY KEY REFERENCES builds(id), token TEXT NOT NULL, created REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS tag_builds (
    tag_id INTEGER NOT NULL REFERENCES tags(id), build_id INTEGER NOT NULL REFERENCES builds(id),
    creator INTEGER NOT NULL REFERENCES users(id), event_id INTEGER NOT NULL REFERENCES events(id),
    PRIMARY KEY (tag_id, build_id)
);
CREATE TABLE IF NOT EXISTS buildroots (
    id INTEGER PRIMARY KEY AUTOINCREMENT, cg_id INTEGER NOT NULL REFERENCES content_generators(id), data TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS buildroot_rpms (
    buildroot_id INTEGER NOT NULL REFERENCES buildroots(id), rpm_id INTEGER NOT NULL REFERENCES rpms(id),
    PRIMARY KEY (buildroot_id, rpm_id)
);
CREATE TABLE IF NOT EXISTS rpms (
    id INTEGER PRIMARY KEY AUTOINCREMENT, build_id INTEGER NOT NULL REFERENCES builds(id), name TEXT NOT NULL,
    version TEXT NOT NULL, release TEXT NOT NULL, epoch INTEGER, arch TEXT NOT NULL, size INTEGER NOT NULL,
    payloadhash TEXT NOT NULL, buildtime INTEGER NOT NULL, buildroot_id INTEGER, UNIQUE (name, version, release, arch)
);
CREATE TABLE IF NOT EXISTS archives (
    id INTEGER PRIMARY KEY AUTOINCREMENT, build_id INTEGER NOT NULL REFERENCES builds(id), buildroot_id INTEGER,
    btype TEXT NOT NULL, type_name TEXT NOT NULL, filename TEXT NOT NULL, size INTEGER NOT NULL, checksum TEXT NOT NULL,
    checksum_type INTEGER NOT NULL, metadata_only INTEGER NOT NULL DEFAULT 0, arch TEXT, extra TEXT
);
CREATE TABLE IF NOT EXISTS archive_rpms (
    archive_id INTEGER NOT NULL REFERENCES archives(id), rpm_id INTEGER NOT NULL REFERENCES rpms(id),
    PRIMARY KEY (archive_id, rpm_id)
);
CREATE TABLE IF NOT EXISTS repos (
    id INTEGER PRIMARY KEY AUTOINCREMENT, tag_id INTEGER NOT NULL REFERENCES tags(id), state INTEGER NOT NULL,
    event_id INTEGER NOT NULL REFERENCES events(id), task_id INTEGER, create_time REAL NOT NULL, state_time REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS external_repos (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, url TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS tag_external_repos (
    id INTEGER PRIMARY KEY AUTOINCREMENT, tag_id INTEGER NOT NULL REFERENCES tags(id),
    external_repo_id INTEGER NOT NULL REFERENCES external_repos(id), priority INTEGER NOT NULL,
    merge_mode TEXT NOT NULL, arches TEXT
);
