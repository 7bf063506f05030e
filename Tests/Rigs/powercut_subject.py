"""A store in forty lines, to try the power-cut rig on: commits rows as the daemon does, then sends one byte 0x1E for each.

Usage: powercut_subject.py DIRECTORY FULL|OFF|EARLY. FULL keeps the promise; OFF never syncs; EARLY sends the byte before the commit.
"""

import os
import random
import socket
import sqlite3
import sys

directory, mode = sys.argv[1:3]
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

# A key file as the daemon makes one: written aside, synced, renamed, its directory synced.
key = os.path.join(directory, "key")
with open(key + ".new", "wb", buffering=0) as file:
    file.write(bytes(range(32)))
    os.fsync(file.fileno())
os.rename(key + ".new", key)
if mode != "OFF":
    parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(parent)
    os.close(parent)

database = sqlite3.connect(os.path.join(directory, "store.sqlite"), isolation_level=None)
database.execute("PRAGMA locking_mode=EXCLUSIVE")
database.execute("PRAGMA journal_mode=WAL")
database.execute("PRAGMA synchronous=" + ("OFF" if mode == "OFF" else "FULL"))
database.execute("PRAGMA wal_autocheckpoint=20")
database.execute("CREATE TABLE frame (id INTEGER PRIMARY KEY, word TEXT NOT NULL, sealed BLOB NOT NULL)")
random.seed(1)
for number in range(1, 41):
    payload = random.randbytes(random.choice((40, 300, 3000)))
    if mode == "EARLY":
        ours.send(b"\x1e")
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO frame (word, sealed) VALUES ('pending', ?)", (payload,))
    database.execute("COMMIT")
    if mode != "EARLY":
        ours.send(b"\x1e")
    theirs.recv(1)
    database.execute("UPDATE frame SET word = 'sent' WHERE id = ?", (number,))
database.close()
