/*
 * The protocol of transactions.md as a model that spin explores to its end:
 *
 *   spin -a docs/transactions.pml && cc -O2 -DSAFETY -DNOREDUCE -o pan pan.c && ./pan -m10000
 *
 * Two transactions, a plain update, a plain write and a program that knows no locks work on three files: A and the
 * index I in one directory, B in another. Kills and power cuts come between any two steps, those of a recovery too. When
 * all have ended, somebody recovers once more, and what is there then is judged (`judge`).
 *
 * One process takes all steps, so that a crash is a step as well. `at[p]` is what actor p does next; each branch of an
 * actor is one step, and nothing comes between its statements.
 *
 * Switches are in the environment of the search (`REMOVAL=1 CRASHES=3 ./pan -m10000`), so that one compilation serves all: REMOVAL, MOVE,
 * APART and FAULT are other configurations, NO_WRITE leaves the plain write out, CRASHES=n is how many there are at most, and
 * each MUT_... leaves a step of the protocol out.
 * __test__/transaction/model.spec.ts runs them all. With -DNP instead of -DSAFETY, `./pan -l` finds runs that never end.
 *
 * The disk is the weakest on which a rename is one step:
 * - What is written and not flushed is on the disk after a power cut or it is not: each name, each file's content and
 *   each part of the journal by itself, in any order. So a round of parallel flushes is one step here: a cut before it
 *   leaves all that a cut during it can leave.
 * - Content that is not flushed may be torn; so may a record that is written over another one, and the state block.
 * - A name that changes twice may have been written back in between (`settle`).
 * - A kill leaves the page cache as it is, and frees the locks.
 */

#define EACH_SWITCH(_) \
  _(REMOVAL) _(MOVE) _(APART) _(FAULT) _(NO_WRITE) \
  _(MUT_NO_RECORD_FLUSH) _(MUT_NO_STAGED_FLUSH) _(MUT_NO_DIRECTORY_FLUSH) _(MUT_OLD_NOT_FLUSHED) _(MUT_NO_FIRST_FLUSH) \
  _(MUT_FINISHED_FIRST) _(MUT_NO_LAST_LOOK) _(MUT_NO_RECORD_CHECKSUM) _(MUT_NO_STAGED_CHECKSUM) _(MUT_OVERWRITE) \
  _(MUT_NO_POINTER) _(MUT_POINTER_BLIND) _(MUT_POINTER_STAYS) _(MUT_NO_ROOT_LOCK) _(MUT_OLD_BY_HASH) _(MUT_UNLINK_FIRST) \
  _(MUT_NO_MOVED_LOOK) _(MUT_NO_PUT_BACK) _(MUT_NO_BRING_BACK) _(MUT_NO_MOVED_FLUSH)

/* What is `hidden` is no part of a state; spin hides bytes, and no bits. */
#define DECLARED(switch) hidden byte switch;
EACH_SWITCH(DECLARED)
hidden byte most_crashes = 2;

#define FROM_ENVIRONMENT(switch) switch = getenv(#switch) != 0;
inline read_switches() {
  c_code {
    EACH_SWITCH(FROM_ENVIRONMENT)
    if (getenv("CRASHES")) most_crashes = atoi(getenv("CRASHES"));
  }
}

/* Files, and sets of them. */
#define A 0
#define B 1
#define I 2
#define SET(f) (1 << (f))
/* A directory's flush is one of all its names. */
#define IN_DIRECTORIES_OF(set) ((set) | (((set) & (SET(A) | SET(I))) != 0) * (SET(A) | SET(I)))

/* Actors. The first two are the transactions. */
#define T1 0
#define T2 1
#define UPDATE 2
#define WRITE 3
#define LAST 4
#define ACTORS 5
/* No actor, but a writer: the program without locks. */
#define FOREIGN 5

/*
 * A version of a file stands for inode, times and bytes together: its writer and, for the index, the set of those whose
 * entries are in it.
 */
#define VERSION(writer, entries) (((writer) + 1) << 4 | (entries))
#define ABSENT (7 << 4)
#define WRITER(version) (((version) >> 4) - 1)
#define ENTRY(writer) (1 << ((writer) == FOREIGN -> 3 : (writer)))
#define HAS(version, writer) (((version) & ENTRY(writer)) != 0)
#define WITH(version, writer) VERSION(writer, ((version) & 15) | ENTRY(writer))

/* The files of each transaction; with APART they have only the root and a plain file in common. */
hidden byte ops[2];
#define OPS(t) ops[t]
/*
 * With REMOVAL the first transaction removes B, and the plain write makes it again, with the bytes that it had. With MOVE it moves B to A,
 * and the plain write replaces B. That version of A is the file that B was at the last look.
 */
#define REMOVED(t) ((REMOVAL || MOVE) * ((t) == T1) * SET(B))
#define WRITTEN ((REMOVAL || MOVE) * B + !(REMOVAL || MOVE) * A)

inline choose_files() {
  if
  :: APART -> ops[T1] = SET(A) | SET(I); ops[T2] = SET(A) | SET(B)
  :: else -> ops[T1] = SET(A) | SET(B) | SET(I); ops[T2] = SET(B) | SET(I)
  fi
}

#define UPDATES_INDEX(t) ((OPS(t) & SET(I)) != 0)

mtype = {
  START, ROOT, RECORD, ROUND_1, NAMES, AWAY, FINISH, TAKE_BACK, UNLINK,  /* a transaction */
  BLIND, CHANGE, FLUSH,                                            /* an update, a write */
  LOOK, LOCK_ROOT, FORWARD, DROP, RECOVERED,                       /* a recovery */
  JUDGE, DONE, DEAD
};

mtype at[ACTORS] = START;
mtype back[ACTORS] = START; /* what an actor does after a recovery */
byte seen[ACTORS];          /* the record that a recovery has set out for */
byte todo[ACTORS];          /* files whose names are still to be changed */
byte read_by_update;        /* a version */
byte crashes, faults;       /* that may still come */
bool rebooted;              /* all processes are new: each looks for a record first */

/* In the page cache, and on the disk for certain. */
byte name[3], disk[3];              /* versions */
byte staged[2], staged_disk[2];     /* of each transaction: the set of its staged names */
byte renamed[2];                    /* those that are gone by a rename: the target's name takes them along */
byte unflushed[2], torn[2];         /* sets of staged files, by their content */
byte record, record_disk;           /* 0, or the transaction plus one; TORN if the checksum is wrong */
byte finished, finished_disk;
#define TORN 8

byte away = ABSENT, away_disk = ABSENT; /* the version that the first transaction has taken away from B: a name of its own */

byte txid[2];
byte old[6], new[6];                /* versions, as recorded */
#define OLD(t, f) old[(t) * 3 + (f)]
#define NEW(t, f) new[(t) * 3 + (f)]

byte index_lock, root_lock;         /* 0, or the holder plus one */
bool pointer;                       /* in the index's lock file, which outlives its holder */

/* For the judge alone. */
byte acked, rejected;               /* sets of actors */
byte looked;                        /* transactions that have taken their last look */
byte newer[2];                      /* files that somebody else has written since then */
bool write_stands, foreign_stands;

hidden byte each, txn, first, actor;
hidden byte applied, missing;

#define VALID(r) ((r) != 0 && ((r) < TORN || MUT_NO_RECORD_CHECKSUM))
#define OWNER(r) (((r) & 7) - 1)
#define PENDING (VALID(record) && txid[OWNER(record)] > finished)
/* A torn record has lost what is at its end. Only the mutant looks at one. */
#define RECORDED(r) (((r) < TORN) * OPS(OWNER(r)) + ((r) >= TORN) * (SET(A) | SET(B)))
#define PENDING_FOR_INDEX (PENDING && (RECORDED(record) & SET(I)))

/* Between the last look and the rename a foreign change is not seen: nothing is promised of it, and it is left out. */
#define NAMING(t) ((at[t] == RECORD || at[t] == ROUND_1 || at[t] == NAMES) && (todo[t] & SET(I)))

/* What the disk does */

/* A name reaches the disk, and with it the end of the staged name that was renamed to it. */
inline write_back(file) {
  disk[file] = name[file];
  away_disk = (file == B -> away : away_disk);
  for (txn : 0 .. 1) {
    if
    :: (renamed[txn] & staged_disk[txn] & SET(file)) && WRITER(name[file]) == txn -> staged_disk[txn] = staged_disk[txn] & ~SET(file)
    :: (renamed[txn] & staged_disk[txn] & SET(file)) && WRITER(name[file]) != txn ->
       /* Another version stands there since: the names may have gone separate ways. */
       if
       :: staged_disk[txn] = staged_disk[txn] & ~SET(file)
       :: true
       fi
    :: else
    fi
  }
}

inline settle(file) {
  if
  :: name[file] != disk[file] || (file == B && away != away_disk) -> write_back(file)
  :: true
  fi
}

inline settle_journal() {
  if
  :: record != record_disk -> record_disk = record
  :: record != record_disk -> record_disk = record | TORN
  :: true
  fi;
  settle_state()
}

inline settle_state() {
  if
  :: finished != finished_disk -> finished_disk = finished
  :: finished != finished_disk -> finished_disk = 0
  :: true
  fi
}

inline flush_journal() {
  record_disk = record;
  finished_disk = finished
}

/* Content, and the name that the file was made with. */
inline flush_staged(owner) {
  unflushed[owner] = 0;
  staged_disk[owner] = staged_disk[owner] | staged[owner]
}

inline flush_directories(set) {
  for (each : 0 .. 2) {
    if
    :: IN_DIRECTORIES_OF(set) & SET(each) ->
       disk[each] = name[each];
       away_disk = (each == B -> away : away_disk);
       for (txn : 0 .. 1) {
         staged_disk[txn] = (staged_disk[txn] & ~SET(each)) | (staged[txn] & SET(each));
         renamed[txn] = renamed[txn] & ~SET(each)
       }
    :: else
    fi
  }
}

/* What the actors share */

/* A removal comes last: a file that is gone is no proof that the others are to change. */
inline first_of(set) {
  if
  :: set & SET(A) -> first = A
  :: !(set & SET(A)) && (set & SET(I)) -> first = I
  :: (set) == SET(B) -> first = B
  fi
}

inline change_name(file, version) {
  settle(file);
  name[file] = version
}

/* A rename between B and the name of what was taken away from it: one step on the disk, too. */
inline rename_away(there, here) {
  settle(B);
  each = there;
  name[B] = here;
  away = each
}

/* The staged file gets its name, or the target goes. */
inline apply(owner, file) {
  if
  :: REMOVED(owner) & SET(file) -> change_name(file, ABSENT)
  :: staged[owner] & SET(file) ->
     change_name(file, NEW(owner, file));
     staged[owner] = staged[owner] & ~SET(file);
     renamed[owner] = renamed[owner] | SET(file)
  :: else
  fi
}

inline unlink_staged(owner) {
  staged[owner] = 0;
  unflushed[owner] = 0
}

inline lock_root(p) {
  if
  :: !MUT_NO_ROOT_LOCK -> root_lock = p + 1
  :: else
  fi
}

inline release(p) {
  if
  :: index_lock == p + 1 -> index_lock = 0
  :: else
  fi;
  if
  :: root_lock == p + 1 -> root_lock = 0
  :: else
  fi
}

inline recover_then(p, next) {
  back[p] = next;
  at[p] = LOOK
}

/*
 * Whether the holder of the index's lock before has left a transaction that is to be recovered first: a pointer, and a
 * record that names this index. Under the lock such a record stays as it is, and without one the pointer says nothing.
 */
#define FOLLOWS_POINTER (pointer && (MUT_POINTER_STAYS || PENDING_FOR_INDEX))

inline somebody_wrote(file) {
  for (txn : 0 .. 1) {
    if
    :: looked & SET(txn) -> newer[txn] = newer[txn] | SET(file)
    :: else
    fi
  }
}

/* A transaction */

inline look_at_old(p) {
  for (each : 0 .. 2) {
    if
    :: OPS(p) & SET(each) -> OLD(p, each) = name[each]
    :: else
    fi
  }
  new_versions(p)
}

inline stage(p) {
  look_at_old(p);
  staged[p] = OPS(p) & ~REMOVED(p);
  unflushed[p] = staged[p]
}

/* Of the index: what the user's function makes of the version that it is called on. */
inline new_versions(p) {
  for (each : 0 .. 2) {
    if
    :: !(OPS(p) & SET(each))
    :: (REMOVED(p) & SET(each)) -> NEW(p, each) = ABSENT
    :: (OPS(p) & ~REMOVED(p) & SET(each)) && each != I -> NEW(p, each) = VERSION(p, 0)
    :: (OPS(p) & SET(each)) && each == I -> NEW(p, each) = WITH(OLD(p, each), p)
    fi
  }
}

inline last_look(p) {
  if
  :: !MUT_NO_LAST_LOOK -> look_at_old(p)
  :: else
  fi;
  looked = looked | SET(p);
  /* What the other one has written, and this one will replace. */
  for (each : 0 .. 1) {
    if
    :: (OPS(p) & OPS(1 - p) & SET(each)) && (looked & SET(1 - p)) && name[each] == NEW(1 - p, each) ->
       newer[1 - p] = newer[1 - p] | SET(each)
    :: else
    fi
  }
}

inline transaction(p) {
  if
  :: p <= T2 && at[p] == START && PENDING -> recover_then(p, START)
  :: p <= T2 && at[p] == START && !PENDING && (!UPDATES_INDEX(p) || index_lock == 0) ->
     if
     :: UPDATES_INDEX(p) && FOLLOWS_POINTER -> recover_then(p, START)
     :: else ->
        if
        :: UPDATES_INDEX(p) -> index_lock = p + 1; pointer = false
        :: else
        fi;
        stage(p);
        at[p] = ROOT
     fi

  :: at[p] == ROOT && (root_lock == 0 || MUT_NO_ROOT_LOCK) ->
     lock_root(p);
     if
     :: PENDING ->
        unlink_staged(p);
        release(p);
        recover_then(p, START)
     :: else ->
        last_look(p);
        /* What is replaced must not come back older than it is recorded: it would be taken for somebody's change. */
        if
        :: !MUT_OLD_NOT_FLUSHED -> flush_directories(OPS(p))
        :: else
        fi;
        pointer = pointer || (UPDATES_INDEX(p) && !MUT_NO_POINTER);
        todo[p] = OPS(p);
        at[p] = RECORD
     fi

  :: at[p] == RECORD ->
     settle_journal();
     if
     :: record && txid[OWNER(record)] > finished -> txid[p] = txid[OWNER(record)] + 1
     :: else -> txid[p] = finished + 1
     fi;
     record = p + 1;
     forget_ended();
     at[p] = ROUND_1

  :: at[p] == ROUND_1 ->
     if
     :: !MUT_NO_STAGED_FLUSH -> flush_staged(p)
     :: else
     fi;
     if
     :: !MUT_NO_RECORD_FLUSH -> flush_journal()
     :: else
     fi;
     if
     :: MUT_FINISHED_FIRST -> finished = txid[p]
     :: else
     fi;
     at[p] = NAMES

  :: at[p] == ROUND_1 && faults > 0 ->
     faults--;
     if
     :: MUT_UNLINK_FIRST -> at[p] = UNLINK
     :: else -> at[p] = TAKE_BACK
     fi

  :: at[p] == NAMES && todo[p] != 0 && !(MOVE && todo[p] == REMOVED(p)) -> first_of(todo[p]); change(p, first)

  /* The old name of what was moved is taken away, and looked at. */
  :: p == T1 && at[p] == NAMES && todo[p] != 0 && MOVE && todo[p] == REMOVED(p) ->
     write_stands = write_stands && name[B] != OLD(T1, B);
     rename_away(name[B], ABSENT);
     at[p] = AWAY

  :: at[p] == AWAY ->
     if
     :: away != OLD(T1, B) && name[B] == ABSENT && !MUT_NO_MOVED_LOOK && !MUT_NO_PUT_BACK -> rename_away(ABSENT, away)
     :: else -> rename_away(ABSENT, name[B])
     fi;
     todo[p] = 0;
     at[p] = NAMES

  /* Round 2. */
  :: at[p] == NAMES && todo[p] == 0 ->
     if
     :: !MUT_NO_DIRECTORY_FLUSH -> flush_directories(OPS(p) & ~(MUT_NO_MOVED_FLUSH * REMOVED(p)))
     :: else
     fi;
     at[p] = FINISH

  :: at[p] == FINISH ->
     settle_state();
     finished = txid[p];
     acked = acked | SET(p);
     end_transaction(p)

  /* A flush has failed: the record must never be carried out, then the staged files go. */
  :: at[p] == TAKE_BACK ->
     finished = txid[p];
     flush_journal();
     at[p] = UNLINK

  :: at[p] == UNLINK ->
     unlink_staged(p);
     rejected = rejected | SET(p);
     end_transaction(p)
  fi
}

inline end_transaction(p) {
  pointer = pointer && !UPDATES_INDEX(p);
  release(p);
  todo[p] = 0;
  at[p] = DONE
}

inline change(p, file) {
  apply(p, file);
  todo[p] = todo[p] & ~SET(file);
  /* The plain write came first, and this is the newer version. */
  write_stands = write_stands && file != WRITTEN
}

/* An update of the index, and a write of a file, by processes that have looked for a record when they began */

inline begin_update(p) {
  index_lock = p + 1;
  pointer = false;
  read_by_update = name[I];
  at[p] = CHANGE
}

inline update(p) {
  if
  :: p == UPDATE && at[p] == START && rebooted && PENDING -> recover_then(p, START)
  :: p == UPDATE && at[p] == START && !(rebooted && PENDING) && index_lock == 0 ->
     if
     :: FOLLOWS_POINTER && !MUT_POINTER_BLIND -> recover_then(p, START)
     :: FOLLOWS_POINTER && MUT_POINTER_BLIND -> recover_then(p, BLIND)
     :: else -> begin_update(p)
     fi

  /* Of MUT_POINTER_BLIND: another transaction may have left it since. */
  :: p == UPDATE && at[p] == BLIND && index_lock == 0 -> begin_update(p)

  :: p == UPDATE && at[p] == CHANGE && name[I] != read_by_update -> read_by_update = name[I]
  :: p == UPDATE && at[p] == CHANGE && name[I] == read_by_update ->
     change_name(I, WITH(read_by_update, p));
     read_by_update = 0;
     at[p] = FLUSH

  :: p == UPDATE && at[p] == FLUSH ->
     flush_directories(SET(I));
     release(p);
     acked = acked | SET(p);
     at[p] = DONE
  fi
}

inline write(p) {
  if
  :: p == WRITE && at[p] == START && rebooted && PENDING -> recover_then(p, START)
  :: p == WRITE && at[p] == START && !(rebooted && PENDING) ->
     change_name(WRITTEN, VERSION(p, 0));
     somebody_wrote(WRITTEN);
     write_stands = true;
     at[p] = FLUSH

  :: p == WRITE && at[p] == FLUSH ->
     flush_directories(SET(WRITTEN));
     acked = acked | SET(p);
     at[p] = DONE
  fi
}

/* A program without locks changes the index, once. */
inline foreign() {
  if
  :: !foreign_stands && !NAMING(T1) && !NAMING(T2) ->
     change_name(I, WITH(name[I], FOREIGN));
     somebody_wrote(I);
     flush_directories(SET(I));
     foreign_stands = true
  fi
}

/* Recovery */

/* The plain write has the bytes of the old version. */
#define HAS_OLD_HASH(t, f) (OLD(t, f) == 0 && (f) == WRITTEN && WRITER(name[f]) == WRITE)
#define IS_OLD(t, f) (name[f] == OLD(t, f) || (MUT_OLD_BY_HASH && HAS_OLD_HASH(t, f)))
#define IS_NEW(t, f) (name[f] == NEW(t, f))
#define IS_WHOLE(t, f) (staged[t] & SET(f) && (MUT_NO_STAGED_CHECKSUM || !(torn[t] & SET(f))))

inline recovery(p) {
  if
  :: at[p] == LOOK && !PENDING -> at[p] = back[p]; back[p] = START
  :: at[p] == LOOK && PENDING && (!(RECORDED(record) & SET(I)) || index_lock == 0) ->
     seen[p] = record;
     if
     :: RECORDED(record) & SET(I) -> index_lock = p + 1
     :: else
     fi;
     at[p] = LOCK_ROOT

  :: at[p] == LOCK_ROOT && (root_lock == 0 || MUT_NO_ROOT_LOCK) ->
     lock_root(p);
     if
     :: PENDING && record == seen[p] ->
        /* Nobody has looked at it. */
        if
        :: away != ABSENT && name[B] == ABSENT && !MUT_NO_BRING_BACK -> rename_away(ABSENT, away)
        :: else
        fi;
        if
        :: !MUT_NO_FIRST_FLUSH ->
           flush_journal();
           flush_staged(OWNER(record));
           flush_directories(RECORDED(record))
        :: else
        fi;
        decide(p, OWNER(seen[p]))
     :: else ->
        release(p);
        seen[p] = 0;
        at[p] = LOOK
     fi

  :: at[p] == DROP ->
     finished = txid[OWNER(seen[p])];
     flush_journal();
     at[p] = RECOVERED

  :: at[p] == FORWARD && todo[p] != 0 -> first_of(todo[p]); forward(p, OWNER(seen[p]), first)
  :: at[p] == FORWARD && todo[p] == 0 ->
     flush_directories(RECORDED(seen[p]));
     finished = txid[OWNER(seen[p])];
     flush_journal();
     at[p] = RECOVERED

  /* Staged files that are still there are those of a dropped transaction, or set aside. */
  :: at[p] == RECOVERED ->
     unlink_staged(OWNER(seen[p]));
     pointer = pointer && index_lock != p + 1;
     release(p);
     seen[p] = 0;
     at[p] = back[p];
     back[p] = START
  fi
}

inline decide(p, owner) {
  applied = false;
  missing = false;
  for (each : 0 .. 2) {
    if
    :: RECORDED(seen[p]) & SET(each) ->
       applied = applied || (!(REMOVED(owner) & SET(each)) && IS_NEW(owner, each));
       missing = missing || (!(REMOVED(owner) & SET(each)) && !IS_WHOLE(owner, each) && IS_OLD(owner, each))
    :: else
    fi
  }
  if
  :: missing && !applied -> at[p] = DROP
  :: else -> todo[p] = RECORDED(seen[p]); at[p] = FORWARD
  fi
}

/* One look and one rename: nobody is between them. */
inline forward(p, owner, file) {
  if
  :: IS_OLD(owner, file) && ((REMOVED(owner) & SET(file)) || IS_WHOLE(owner, file)) ->
     write_stands = write_stands && !(file == WRITTEN && name[file] == OLD(owner, file));
     apply(owner, file)
  :: MUT_OVERWRITE && !IS_OLD(owner, file) && !IS_NEW(owner, file) && IS_WHOLE(owner, file) -> apply(owner, file)
  :: else
  fi;
  todo[p] = todo[p] & ~SET(file)
}

/* Crashes */

inline forget(p) {
  if
  :: at[p] == START || at[p] == DONE
  :: else -> at[p] = DEAD
  fi;
  back[p] = START;
  seen[p] = 0;
  todo[p] = 0;
  if
  :: p == LAST -> at[p] = START
  :: p == UPDATE -> read_by_update = 0
  :: else
  fi
}

#define RUNS(p) (at[p] != START && at[p] != DONE && at[p] != DEAD)

inline kill(p) {
  if
  :: crashes > 0 && RUNS(p) ->
     crashes--;
     release(p);
     forget(p);
     forget_ended()
  fi
}

inline power_cut() {
  if
  :: crashes > 0 ->
     crashes--;
     settle_journal();
     record = record_disk;
     finished = finished_disk;
     for (each : 0 .. 2) {
       settle(each);
       for (txn : 0 .. 1) {
         cut_staged(txn, each)
       }
       name[each] = disk[each]
     }
     away = away_disk;
     for (txn : 0 .. 1) {
       staged[txn] = staged_disk[txn];
       renamed[txn] = 0;
       unflushed[txn] = 0
     }
     index_lock = 0;
     root_lock = 0;
     if
     :: pointer -> pointer = false
     :: true
     fi;
     for (actor : 0 .. ACTORS - 1) {
       forget(actor)
     }
     rebooted = true;
     nothing_torn();
     forget_ended()
  fi
}

/* What nothing asks for any more: two states that differ in it alone are one. */
inline forget_ended() {
  for (txn : 0 .. 1) {
    torn[txn] = torn[txn] & (staged[txn] | staged_disk[txn]);
    if
    :: !RUNS(txn) && at[txn] != START && record != txn + 1 && (record_disk & 7) != txn + 1 ->
       txid[txn] = 0;
       for (each : 0 .. 2) {
         OLD(txn, each) = 0;
         NEW(txn, each) = 0
       }
    :: else
    fi
  }
}

inline cut_staged(owner, file) {
  if
  :: unflushed[owner] & SET(file) -> torn[owner] = torn[owner] | SET(file)
  :: true
  fi;
  if
  /* A link or an unlink may have reached the disk. A rename only if its target has. */
  :: ((staged[owner] ^ staged_disk[owner]) & SET(file)) && (!(renamed[owner] & SET(file)) || name[file] == disk[file]) ->
     staged_disk[owner] = staged_disk[owner] ^ SET(file)
  :: true
  fi
}

/* What has to hold */

inline nothing_torn() {
  for (each : 0 .. 2) {
    for (txn : 0 .. 1) {
      assert(!(WRITER(name[each]) == txn && (torn[txn] & SET(each))))
    }
  }
}

#define SHOWS(t, f) (f == I -> HAS(name[f], t) : ((REMOVED(t) & SET(f)) -> name[f] == ABSENT : WRITER(name[f]) == t))
/* Somebody has written a newer version since, and it stands. */
#define SUPERSEDED(t, f) ((newer[t] & SET(f)) && name[f] != 0)

inline all_or_nothing(txn) {
  applied = false;
  missing = false;
  for (each : 0 .. 2) {
    if
    :: (OPS(txn) & SET(each)) ->
       applied = applied || SHOWS(txn, each);
       missing = missing || !(SHOWS(txn, each) || SUPERSEDED(txn, each))
    :: else
    fi
  }
  assert(!(applied && missing));
  assert(!((acked & SET(txn)) && missing));
  assert(!((rejected & SET(txn)) && applied));
  applied = false;
  missing = false
}

inline judge() {
  nothing_torn();
  all_or_nothing(T1);
  all_or_nothing(T2);
  assert(!(acked & SET(UPDATE)) || HAS(name[I], UPDATE));
  assert(!foreign_stands || HAS(name[I], FOREIGN));
  assert(!((acked & SET(WRITE)) && write_stands) || WRITER(name[WRITTEN]) == WRITE)
}

/* Whoever recovers when all others have ended. */
inline last(p) {
  if
  :: p == LAST && at[p] == START && !RUNS(T1) && !RUNS(T2) && !RUNS(UPDATE) && !RUNS(WRITE) &&
     at[T1] != START && at[T2] != START && at[UPDATE] != START && at[WRITE] != START -> recover_then(p, JUDGE)
  :: p == LAST && at[p] == JUDGE -> judge(); at[p] = DONE
  fi
}

proctype takes_steps(byte p) {
end:
  do
  :: atomic { transaction(p) }
  :: atomic { update(p) }
  :: atomic { write(p) }
  :: atomic { last(p) }
  :: atomic { recovery(p) }
  :: atomic { kill(p) }
  od
}

init {
  atomic {
    read_switches();
    choose_files();
    /* Fewer crashes too: a deadlock is not to be taken for a world that waits for its next crash. */
    select(crashes : 0 .. most_crashes);
    faults = FAULT;
    if
    :: NO_WRITE -> at[WRITE] = DONE
    :: else
    fi;
    for (actor : 0 .. ACTORS - 1) {
      run takes_steps(actor)
    }
  }
end:
  do
  :: atomic { foreign() }
  :: atomic { power_cut() }
  /* Nobody can take a step. */
  :: timeout -> assert(at[LAST] == DONE); break
  od
}
