#!/usr/bin/env python3
"""Exhaustive model of the cutover protocol (docs/cutover-protocol.md, rules 1-18) for one job X and two backends, A and B.

Every step is atomic at ONE backend (one Lua script, one SQL transaction; rule 1).  Any actor may stop for ever between
two of its steps (*.dies) or go on much later (a zombie: its slot simply keeps its next step).  The explorer visits
every reachable state and checks:

  no loss     an accepted job that has not ended is live, moving or held somewhere
  one owner   X is never fetchable or running on both sides at once
  one run     X is started again only after a failed attempt, a lapsed lease or a loss of data; never after a cancel that
              returned; never in a generation that a retry has replaced
  one seal    the sealed side is never the active one
  close       at the close the surviving side owns the job, or the job has ended
  done        X is not live again at one side after it has ended at the other (but for losses and cancels under way)
  liveness    from every reachable state X can still end

Run:  python3 cutover_model.py [FAULT ...] [no-RULE ...]      or      python3 cutover_model.py --all [seconds per run]
FAULTS and MUTATIONS below list what may be switched on, and what dropped; a dropped rule must be caught.
"""
import subprocess
import sys
import time
from array import array

FAULTS = {
    "forget":          "side A comes back empty, without its epoch record (FLUSHALL, no AOF); once",
    "crash":           "side A falls back to its last durable state (everysec); once",
    "unknown":         "the reply of an enqueue is lost; the producer sends the same id again in the same call, or gives up",
    "retention":       "ids of ended jobs are forgotten",
    "cancel":          "a person cancels or deletes the job",
    "retry":           "attempts may fail for good, and a person retries the failed job (once)",
    "second-producer": "another call sends the same id (fenced, rule 7)",
    "abort":           "the sealing is aborted (once)",
}
PAIRS = [
    "unknown retention", "unknown cancel", "unknown second-producer", "unknown abort", "unknown forget", "unknown crash",
    "second-producer retention", "second-producer cancel", "second-producer abort epochs=2", "second-producer forget", "second-producer crash",
    "cancel retention", "cancel abort epochs=2", "cancel forget", "cancel crash", "retention forget", "retention crash", "retention abort",
    "abort forget epochs=2", "abort crash epochs=2",
    "retry unknown epochs=2", "retry retention epochs=2", "retry cancel epochs=2", "retry forget epochs=2", "retry crash epochs=2",
]
MUTATIONS = {                                     # a rule of the protocol -> with what its absence is caught
    "fence":            ("", "11: import is refused at another epoch"),
    "known":            ("", "11: import does nothing if the id is known"),
    "live-first":       ("", "6: the live copy first, then the held one"),
    "intent":           ("", "17: the intent bars flips"),
    "close-check":      ("", "18: no mirror at the sealed side, no leftover at home"),
    "close-record":     ("", "18: whoever raises the home writes the close record with it"),
    "repair-fence":     ("", "16: acts of repair are refused at another epoch"),
    "drop-wait":        ("unknown abort", "18: mirrors are dropped from the sealed side 60 s after the seal"),
    "close-wait":       ("cancel", "18: both looks of the close come 60 s after the seal"),
    "tomb":             ("unknown", "12: the mirror becomes a tombstone, not absent"),
    "never-absent":     ("unknown", "5, 16: a leftover becomes held or a tombstone, never absent"),
    "known-first":      ("unknown", "8: known is answered before epoch and seal"),
    "same-side":        ("unknown", "6: a repeat goes to the same side"),
    "remember":         ("retention", "5: forgotten only when no late step can exist and the other side has ended it"),
    "fence-read":       ("second-producer", "7: the passive side is read first"),
    "outcome-deadline": ("second-producer", "2, 6: the first write of an enqueue has a deadline; OutcomeUnknown comes after it"),
    "abort-raise":      ("abort", "17: abort raises the epoch in the step that takes the seal off"),
    "take-failed":      ("retry", "11: a failed record, too, is taken before it is imported"),
    "generation":       ("retry", "4: nothing touches a later generation"),
    "record":           ("forget", "10: only repair creates an epoch record"),
    "give-back-wait":   ("forget", "10: the records come back 15 s after the loss or later"),
    "give-back-intent": ("forget", "10: an intent, or a close record, is given back with the epoch"),
    "give-back-jobs":   ("forget unknown", "10: the job is given back before the record"),
    "give-back-ids":    ("forget unknown", "10: tombstones are given back too"),
    "repeat-refused":   ("forget unknown", "6, 10: a repeat is refused by a side that lost its records"),
    "confirm":          ("forget cancel", "13: confirm at the first side"),
    "tomb-absent-cancel": ("forget cancel", "13: a tombstone also for an absent copy"),
    "durable-take":     ("crash", "3: take -> import"),
    "durable-intent":   ("crash", "3: intent -> seal"),
    "durable-ack":      ("crash", "3: ack -> settle"),
    "durable-close-look": ("crash", "3: what the close saw at home is durable"),
    "durable-destroy":  ("crash", "3: nothing destroyed because of what is not durable at the other side"),
    "durable-raise no-run-id": ("crash", "3: raise -> raise, 10: run id (either is enough for one job)"),
    "durable-close":    ("crash", "3: close record -> record at home"),
    "durable-forget":   ("retention crash", "3, 5: the tombstone is durable before the other side forgets"),
    "give-back-later":  ("crash retry epochs=2", "10: a mirror of a later generation replaces the copy that fell back"),
    "run-id":           ("crash cancel", "10: a side that fell back serves nothing before repair has been there"),
    "durable-cancel":   ("crash cancel", "3, 13: cancel returns when its tombstones are durable"),
}
UNCAUGHT = {                                      # not needed for ONE job as far as this model sees
    "durable-raise": ("crash", "3: raise -> raise"),
    "raise-order":  ("second-producer", "9: the old active side is raised first (keys need it)"),
    "seal-check":   ("unknown", "17: sealed only when it owns nothing (close-check holds what matters)"),
    "cancel-order": ("cancel", "13: first at the active side (both sides and confirm are enough)"),
    "retry-active": ("retry epochs=2", "14: only at the active side (a taken record is enough)"),
    "hold-replaces": ("retry forget epochs=2", "4: a hold replaces copies of an earlier generation (repair does it later)"),
    "fence-epoch":  ("second-producer", "7: inserted at exactly the epoch of the read (keys need it)"),
    "restore-if-sealed": ("forget", "16: mirror at the active side, original gone, other side sealed -> live at once (keys need it)"),
    "tomb-absent":  ("unknown retention", "12: a tombstone also for an absent mirror (spares runs after a loss of all data)"),
}
ARGS = set(sys.argv[1:])
def rule(name): return "no-" + name not in ARGS
def fault(name): return name in ARGS
MAX_EPOCH = next((int(x[7:]) for x in ARGS if x.startswith("epochs=")), 4 if fault("abort") else 3)
# flips explored: A->B, B->A (, and one more after an abort); "epochs=2": only A->B

# ---- a state is a bytes object, one byte a field; fields of a side come in pairs: index F+0 is A's, F+1 is B's
(COPY, _, EPOCH, _, INTENT, _, SEAL, _,            # what a side stores: its copy of X, epoch (0: no record), intent, seal
 D_COPY, D_EPOCH, D_INTENT, D_SEAL,                # the durable part of A (only while a crash may still come)
 LOST, LOSSES,                                     # A waits for repair to give it back its records (rule 10); losses so far
 FIRST, SECOND, MOVER, _, SETTLER, CANCELLER, RETRIER, SEALER, CLOSER,       # one slot an actor: its next step, 0 = none
 REPAIR, R_EPOCH, R_SEEN, R_NEW,
 ACCEPTED, ENDED, MAY_RUN, CANCELLED, BAD, BARE) = range(33)                 # the truth, which no actor reads; BARE: a mirror was dropped

# a copy is kind | generation << 3 | epoch << 4 (the epoch only of a moving copy)
ABSENT, HELD, READY, RUNNING, MOVING, DONE, FAILED, MOVING_F = range(8)      # FAILED: an ended record that can be retried
                                                                              # MOVING_F: a failed record that is being moved
def kind(c): return c & 7
def gen(c): return c >> 3 & 1
def tag(c): return c >> 4 & 7
def copy(k, g=0, e=0): return k | g << 3 | e << 4
def live(c): return kind(c) in (READY, RUNNING)
def ended(c): return kind(c) in (DONE, FAILED, MOVING_F)
def show(c): return ("absent", "held", "ready", "running", "moving", "done", "failed", "moving-f")[kind(c)] + (f".{gen(c)}" if c and gen(c) else "")

OPEN, SEALED, CLOSED, HOME = range(4)             # SEAL: HOME is the close record at the surviving side
WAIT = 128                                        # in a slot: the first step is not yet durable (rule 3)
END = 127                                         # of a producer: the call is over
def active(e): return 0 if e % 2 else 1

def to(s, *changes):
    n = bytearray(s)
    for k in range(0, len(changes), 2):
        n[changes[k]] = changes[k + 1]
    return bytes(n)

START = bytearray(33)
START[EPOCH] = START[EPOCH + 1] = 1
if fault("crash"): START[D_EPOCH] = 1
START = bytes(START)

def armed(s): return fault("crash") and not s[LOSSES]
def wait(s, side, name): return WAIT if side == 0 and armed(s) and rule("durable-" + name) else 0
def durable(s, side, field, name): return side == 1 or not armed(s) or not rule("durable-" + name) or s[field] == s[D_COPY + (field - COPY) // 2]
def serves(s, side): return side == 1 or not s[LOST] or not rule("record")   # rule 10
def is_active(s, side): return s[EPOCH + side] and active(s[EPOCH + side]) == side and serves(s, side)

# ---- what a write does to a copy (rule 4: never to one of a later generation)
def later(c, g): return c != ABSENT and gen(c) > g and rule("generation")
def held(c, g):
    if c == ABSENT or gen(c) < g and not live(c) and rule("hold-replaces"): return copy(HELD, g)
    return c
def settled(c, g):                                # rule 12
    if c == ABSENT: return copy(DONE, g) if rule("tomb-absent") else c
    if later(c, g): return c
    if kind(c) == HELD or ended(c) and gen(c) < g: return copy(DONE, g) if rule("tomb") else ABSENT
    return c
def cancelled(c, g):                              # rule 13
    if c == ABSENT: return copy(DONE, g) if rule("tomb-absent-cancel") else c
    if later(c, g) or ended(c): return c
    return copy(FAILED if fault("retry") and kind(c) == READY else DONE, g)
def owns(c, g):                                   # "known" to an import
    if c == ABSENT: return False
    return (live(c) or ended(c) and rule("known")) and gen(c) >= g or later(c, g)

def flips_and_seals(s):
    """the control plane: rules 9, 17, 18"""
    for a in (0, 1):
        p, e = 1 - a, s[EPOCH + a]
        if not e or active(e) != a: continue
        if (e < MAX_EPOCH or s[SEAL + p] == CLOSED) and serves(s, a) and s[SEAL + a] != HOME and (s[INTENT + a] != e or not rule("intent")):
            if rule("raise-order"): yield "flip.raise-at-old-active", to(s, EPOCH + a, e + 1)
            elif s[EPOCH + p] == e: yield "flip.raise-at-new-active", to(s, EPOCH + p, e + 1)
        if s[INTENT + a] != e and serves(s, a) and s[SEAL + a] == OPEN:
            yield "seal.intent", to(s, INTENT + a, e)
        if s[INTENT + a] == e and serves(s, a) and s[SEALER] != e and s[SEAL + p] == OPEN and durable(s, a, INTENT + a, "intent"):
            yield "seal.sees-intent", to(s, SEALER, e)
        if s[INTENT + a] == e and serves(s, a) and s[EPOCH + p] == e and s[CLOSER] == 0 and s[SEAL + p] == SEALED and (kind(s[COPY + a]) not in (HELD, MOVING, MOVING_F) or not rule("close-check")) \
                and (not late(s) or not rule("close-wait")) and durable(s, a, COPY + a, "close-look"):
            yield "close.looks-at-home", to(s, CLOSER, e)
    low, high = (0, 1) if s[EPOCH] < s[EPOCH + 1] else (1, 0)
    if s[EPOCH + low] != s[EPOCH + high] and (s[EPOCH + low] or not rule("record")) and serves(s, low):       # anyone helps; the first write is repeated (a no-op)
        name = "close" if s[SEAL + high] == CLOSED else "raise"
        if durable(s, high, EPOCH + high, name) and durable(s, high, SEAL + high, name):
            yield "raise.the-other", to(s, EPOCH + low, s[EPOCH + high], *(SEAL + low, HOME) if s[SEAL + high] == CLOSED and rule("close-record") else ())
    if s[SEALER]:
        e = s[SEALER]; p = 1 - active(e)
        if s[EPOCH + p] == e and s[SEAL + p] == OPEN and serves(s, p) and (kind(s[COPY + p]) in (ABSENT, HELD, DONE, FAILED) or not rule("seal-check")):
            yield "seal.write", to(s, SEAL + p, SEALED, SEALER, 0)
        yield "seal.dies", to(s, SEALER, 0)
    if s[CLOSER]:
        e = s[CLOSER]; p = 1 - active(e)
        if s[SEAL + p] == SEALED and s[EPOCH + p] == e and serves(s, p) and (s[COPY + p] == ABSENT or kind(s[COPY + p]) == DONE or not rule("close-check")):
            yield "close.at-sealed-side", to(s, SEAL + p, CLOSED, EPOCH + p, e + 2, CLOSER, 0)
        yield "close.dies", to(s, CLOSER, 0)
    if fault("abort"):
        for p in (0, 1):
            e = s[EPOCH + p]
            if e and active(e) != p and e < 3 and s[SEAL + p] in (OPEN, SEALED) and s[INTENT + 1 - p] == e and serves(s, p):
                yield "abort.at-passive-side", to(s, SEAL + p, OPEN, EPOCH + p, e + 2 if rule("abort-raise") else e, *() if rule("abort-raise") else (INTENT + 1 - p, 0))

def late(s):
    """rule 2, abstracted: can a second step still arrive?  Whoever must wait for none waits for the deadline:
    15 s, and 60 s where the repeats of an enqueue count."""
    return s[FIRST] not in (0, END) or s[SECOND] not in (0, END) or s[MOVER] or s[MOVER + 1] or s[SETTLER] or s[CANCELLER] not in (0, END) or s[RETRIER] or s[SEALER]

LIVE, HOLD, REPEAT, FENCED = 1, 3, 5, 8           # producers: LIVE/HOLD/REPEAT + side, FENCED + epoch read
def producers(s):
    """rules 6, 7, 8"""
    p = s[FIRST]
    if p == 0:
        yield "enqueue.believes-A-active", to(s, FIRST, LIVE)
        if max(s[EPOCH], s[EPOCH + 1]) > 1: yield "enqueue.believes-B-active", to(s, FIRST, LIVE + 1)
    elif p in (LIVE, LIVE + 1, REPEAT, REPEAT + 1):
        i, repeat = (p - 1) % 2, p >= REPEAT
        may = s[MAY_RUN] if repeat else 1
        c = s[COPY + i]
        if not rule("live-first") and s[COPY + 1 - i] == ABSENT:
            yield "enqueue.hold-first", to(s, COPY + 1 - i, copy(HELD))
        elif c != ABSENT and (rule("known-first") or s[SEAL + i] == OPEN):
            yield "enqueue.known", to(s, FIRST, END if ended(c) else HOLD + i, ACCEPTED, s[ACCEPTED] or 1)
        elif s[SEAL + i] in (SEALED, CLOSED):
            yield "enqueue.refused-by-seal", to(s, FIRST, LIVE + 1 - i)
        elif not repeat or serves(s, i) or not rule("repeat-refused"):           # a repeat is no act for a side without its records
            yield "enqueue.live", to(s, COPY + i, copy(READY), FIRST, HOLD + i if rule("live-first") else END, ACCEPTED, 1, MAY_RUN, may)
            if fault("unknown"): yield "enqueue.live-reply-lost", to(s, COPY + i, copy(READY), FIRST, REPEAT + i, MAY_RUN, may)
        if fault("unknown"):                      # OutcomeUnknown; no earlier than the server would refuse the late request
            yield "enqueue.gives-up", to(s, FIRST, END)
            if repeat and not rule("same-side"): yield "enqueue.repeats-at-other-side", to(s, FIRST, LIVE + 1 - i)
    if fault("second-producer") and s[SECOND] == 0 and (p not in (0, LIVE, LIVE + 1, REPEAT, REPEAT + 1) or not rule("outcome-deadline")) or s[SECOND] == 1:
        for a in (0, 1):                          # rule 7: the passive side first, at its epoch
            o, e = 1 - a, s[EPOCH + 1 - a]
            if e and active(e) == a and serves(s, o):
                if s[COPY + o] != ABSENT and rule("fence-read"): yield "second.known-at-passive", to(s, SECOND, END, ACCEPTED, s[ACCEPTED] or 1)
                else: yield "second.absent-at-passive", to(s, SECOND, FENCED + e)
    if FENCED < s[SECOND] < FENCED + 8:
        e = s[SECOND] - FENCED
        a = active(e)
        c = s[COPY + a]
        if c != ABSENT and (rule("known-first") or s[EPOCH + a] == e): yield "second.known-at-active", to(s, SECOND, END, ACCEPTED, s[ACCEPTED] or 1)
        elif s[EPOCH + a] == e and serves(s, a) or not rule("fence-epoch"): yield "second.live", to(s, COPY + a, copy(READY), SECOND, HOLD + a, MAY_RUN, s[MAY_RUN] if s[ACCEPTED] or s[ENDED] else 1, ACCEPTED, 1)
        else: yield "second.stale-epoch", to(s, SECOND, 1)
        yield "second.dies", to(s, SECOND, END)
    for F, name in ((FIRST, "enqueue"), (SECOND, "second")):
        if s[F] in (HOLD, HOLD + 1):              # the mirror; the sealed side takes none
            o = 1 - (s[F] - HOLD)
            yield name + ".hold", to(s, F, END, COPY + o, held(s[COPY + o], 0) if s[SEAL + o] in (OPEN, HOME) else s[COPY + o])
            yield name + ".dies", to(s, F, END)

def workers(s):
    """fetch, end of an attempt, settling the mirror (rule 12)"""
    for i in (0, 1):
        c = s[COPY + i]; g = gen(c)
        if kind(c) == READY and serves(s, i) and s[SEAL + 1 - i] != HOME:     # its view may be stale; the copy's own state makes it exclusive
            wrong = 1 if s[CANCELLED] == 2 else 2 if g + 1 < s[ACCEPTED] else 0 if s[MAY_RUN] else 3
            yield f"worker.fetch{'AB'[i]}", to(s, COPY + i, copy(RUNNING, g), MAY_RUN, 0, BAD, wrong)
        if kind(c) == RUNNING:
            yield f"worker.lapses{'AB'[i]}", to(s, COPY + i, copy(READY, g), MAY_RUN, 1)
            slot = 1 | g << 3 | i << 4 | wait(s, i, "ack")
            yield f"worker.ack{'AB'[i]}", to(s, COPY + i, copy(DONE, g), SETTLER, slot, ENDED, g + 1)
            if fault("retry"): yield f"worker.ack-failed{'AB'[i]}", to(s, COPY + i, copy(FAILED, g), SETTLER, slot, ENDED, g + 1)
    w = s[SETTLER]
    if w and not w & WAIT:
        o = 1 - tag(w)
        yield "worker.settle", to(s, SETTLER, 0, ENDED, max(s[ENDED], gen(w) + 1), COPY + o, settled(s[COPY + o], gen(w)) if s[SEAL + o] in (OPEN, HOME) or s[COPY + o] else s[COPY + o])
    if w: yield "worker.dies", to(s, SETTLER, 0)

IMPORT, RELEASE, IMPORT_F, RELEASE_F = 1, 2, 3, 4   # movers: phase | generation << 3 | epoch << 4
def movers(s):
    """rule 11, two of them; a failed record is taken like a live job (MOVING_F), and leaves a tombstone"""
    for k in (0, 1):
        m = s[MOVER + k]
        if m == 0:
            if k == 1 and s[MOVER] == 0: continue           # they are alike: the first free slot acts
            for p in (0, 1):
                e, c = s[EPOCH + p], s[COPY + p]
                if not e or active(e) == p or not serves(s, p) or s[SEAL + 1 - p] == HOME: continue      # after the close nobody looks there
                if kind(c) in (READY, MOVING):
                    yield f"mover{k}.take", to(s, COPY + p, copy(MOVING, gen(c), e), MOVER + k, copy(IMPORT, gen(c), e) | wait(s, p, "take"))
                if kind(c) in (FAILED, MOVING_F):
                    yield f"mover{k}.take-failed", to(s, COPY + p, copy(MOVING_F, gen(c), e) if rule("take-failed") else c, MOVER + k, copy(IMPORT_F, gen(c), e) | wait(s, p, "take"))
            continue
        what, g, e = kind(m), gen(m), tag(m)
        a, p = active(e), 1 - active(e)
        c = s[COPY + a]
        if m & WAIT: pass
        elif what in (IMPORT, IMPORT_F):
            if (s[EPOCH + a] != e or not serves(s, a)) and rule("fence"): yield f"mover{k}.fenced", to(s, MOVER + k, 0)
            elif what == IMPORT: yield f"mover{k}.import", to(s, COPY + a, c if owns(c, g) else copy(READY, g), MOVER + k, copy(RELEASE, g, e))
            else: yield f"mover{k}.import-failed", to(s, COPY + a, copy(FAILED, g) if not later(c, g) and not live(c) else c, MOVER + k, copy(RELEASE_F, g, e))
        elif what == RELEASE:
            yield f"mover{k}.release", to(s, COPY + p, copy(HELD, g) if s[COPY + p] == copy(MOVING, g, e) else s[COPY + p], MOVER + k, 0)
        elif what == RELEASE_F:
            yield f"mover{k}.release-failed", to(s, COPY + p, copy(DONE, g) if s[COPY + p] in (copy(MOVING_F, g, e), copy(FAILED, g)) and (s[COPY + p] != copy(FAILED, g) or not rule("take-failed")) else s[COPY + p], MOVER + k, 0)
        yield f"mover{k}.dies", to(s, MOVER + k, 0)

OTHER, CONFIRM = 1, 2
def person(s):
    """cancel and delete (rule 13), retry (rule 14), by the generation that the person saw"""
    if fault("cancel"):
        x = s[CANCELLER]; g = s[ACCEPTED] - 1
        if x == 0 and s[ACCEPTED] and s[ENDED] < s[ACCEPTED]:
            for a in (0, 1):
                c = s[COPY + a]
                if (is_active(s, a) or not rule("cancel-order")) and kind(c) != RUNNING and not ended(c) and not later(c, g):
                    yield "cancel.at-active", to(s, COPY + a, cancelled(c, g), CANCELLER, copy(OTHER, g, a), CANCELLED, max(s[CANCELLED], 1))
        elif x not in (0, END):
            g, a = gen(x), tag(x); o = 1 - a
            if kind(x) == OTHER:
                c = s[COPY + o]
                if kind(c) == RUNNING and gen(c) == g: yield "cancel.worker-asked", to(s, CANCELLER, END)
                else: yield "cancel.at-other", to(s, COPY + o, c if c == ABSENT and s[SEAL + o] in (SEALED, CLOSED) else cancelled(c, g), CANCELLER, copy(CONFIRM, g, a) | wait(s, o, "cancel"))
            elif not x & WAIT:
                c = s[COPY + a]
                if kind(c) == RUNNING and gen(c) == g: yield "cancel.worker-asked", to(s, CANCELLER, END)
                elif not ended(c) and not later(c, g) and rule("confirm"): yield "cancel.again", to(s, CANCELLER, 0)
                elif durable(s, a, COPY + a, "cancel"): yield "cancel.returns", to(s, CANCELLER, END, CANCELLED, 2 if g + 1 == s[ACCEPTED] else s[CANCELLED], ENDED, max(s[ENDED], g + 1))
            yield "cancel.dies", to(s, CANCELLER, END)
    if fault("retry"):
        for i in (0, 1):
            c = s[COPY + i]
            if kind(c) == FAILED and gen(c) == 0 and (is_active(s, i) or not rule("retry-active")):
                yield "retry.at-active", to(s, COPY + i, copy(READY, 1), ACCEPTED, 2, MAY_RUN, 1, CANCELLED, 0, RETRIER, 1 | i << 4)
        if s[RETRIER]:
            o = 1 - tag(s[RETRIER])
            if not s[RETRIER] & WAIT: yield "retry.hold", to(s, RETRIER, 0, COPY + o, held(s[COPY + o], 1) if s[SEAL + o] in (OPEN, HOME) else s[COPY + o])
            yield "retry.dies", to(s, RETRIER, 0)

SAW, ACT, GIVE = 1, 2, 3                          # repair: phase | side << 3 | sealed << 4
def repair(s):
    """rule 16: looks at the side with the copy that gives rise to the act, then at the other, then acts at one side, by compare-and-set,
    at the epoch of the pass.  Rule 10: gives a side that lost its records back epoch, seal and job."""
    r, e = s[REPAIR], s[R_EPOCH]
    stop = (REPAIR, 0, R_EPOCH, 0, R_SEEN, 0, R_NEW, 0)
    if r == 0:
        if s[EPOCH] == s[EPOCH + 1] and s[EPOCH] and serves(s, 0) and CLOSED not in (s[SEAL], s[SEAL + 1]):
            for i in (0, 1):
                if kind(s[COPY + i]) in (HELD, MOVING, MOVING_F, READY, RUNNING):
                    yield f"repair.looks{'AB'[i]}", to(s, REPAIR, SAW | i << 3 | (s[SEAL + i] == SEALED) << 4, R_EPOCH, s[EPOCH], R_SEEN, s[COPY + i])
        if s[LOST] and (not rule("give-back-wait") or not late_but_producers(s)):
            yield "repair.give-back-looks", to(s, REPAIR, GIVE | s[SEAL + 1] << 4, R_EPOCH, s[EPOCH + 1], R_SEEN, s[COPY + 1])
        return
    if not r & WAIT:
        if kind(r) == SAW:
            side, sealed, mine, o = r >> 3 & 1, r >> 4 & 1, s[R_SEEN], 1 - (r >> 3 & 1)
            act = decide(side == active(e), sealed, s[SEAL + o] in (SEALED, CLOSED), mine, s[COPY + o])
            if act and act[0] == "drop-mirror" and late(s) and rule("drop-wait"): act = None          # rule 18: 60 s after the seal
            if act is None: yield "repair.nothing", to(s, *stop)
            else:
                what, there, new, destroys = act
                at = o if there else side
                slot = ACT | at << 3 | (wait(s, o, "destroy") if destroys and s[COPY] != s[D_COPY] else 0)
                yield "repair.will-" + what, to(s, REPAIR, slot, R_SEEN, s[COPY + o] if there else mine, R_NEW, new)
        elif kind(r) == ACT:
            at = r >> 3 & 1
            ok = s[COPY + at] == s[R_SEEN] and (s[EPOCH + at] == e and serves(s, at) or not rule("repair-fence")) and not (s[R_SEEN] == ABSENT and s[SEAL + at] in (SEALED, CLOSED))
            drops = ok and s[R_NEW] == ABSENT and fault("forget")
            yield "repair.acts" if ok else "repair.finds-it-changed", to(s, *stop, *(COPY + at, s[R_NEW]) if ok else (), *(BARE, 1) if drops else ())
        elif kind(r) == GIVE:
            yield from give_back(s, e, r >> 4 & 3, s[R_SEEN], stop)
    yield "repair.dies", to(s, *stop)

def decide(on_active, sealed, other_sealed, mine, other):
    """what rule 16 says -> (name, at the other side?, the new copy, does it destroy?) or None"""
    g, gone = gen(mine), other == ABSENT or gen(other) < gen(mine) and not live(other)
    if kind(mine) == HELD:
        if ended(other) and gen(other) >= g: return "make-tombstone", False, copy(DONE, gen(other)) if rule("tomb") else ABSENT, True
        if sealed and live(other) and gen(other) >= g: return "drop-mirror", False, ABSENT, True
        if gone and on_active and other_sealed and rule("restore-if-sealed"): return "restore-here", False, copy(READY, g), False
        if gone and on_active: return "hold-first", True, copy(HELD, g), False
        if gone: return "restore", True, copy(READY, g), False
        if kind(other) == HELD and gen(other) <= g and on_active: return "restore-here", False, copy(READY, g), False
    elif kind(mine) == MOVING and on_active:      # a leftover of a flip back
        if ended(other) and gen(other) >= g: return "end-leftover", False, copy(DONE, gen(other)) if rule("never-absent") else ABSENT, True
        if live(other) or kind(other) == MOVING: return "hold-leftover", False, copy(HELD, g) if rule("never-absent") else ABSENT, True
        return "take-back", False, copy(READY, g), False
    elif kind(mine) == MOVING_F and on_active:
        if other != ABSENT and gen(other) >= g and kind(other) != DONE or gen(other) > g: return "end-leftover", False, copy(DONE, g), True
        return "take-back-failed", False, copy(FAILED, g), False
    elif live(mine) and on_active and gone: return "backfill", True, copy(HELD, g), False

def late_but_producers(s): return s[MOVER] or s[MOVER + 1] or s[SEALER] or s[CLOSER] or s[SETTLER] or s[RETRIER]
def give_back(s, e, sealed, other, stop):
    c, g, z = s[COPY], gen(other), s[SEAL]
    if c != ABSENT and other != ABSENT and g > gen(c) and rule("give-back-later"): c = ABSENT      # a retry that the crash took, but whose mirror is there
    if rule("give-back-jobs") and c == ABSENT and other != ABSENT and z == OPEN:
        if live(other) or kind(other) == MOVING or active(e) == 1 and kind(other) == HELD: c = copy(HELD, g)
        elif kind(other) == HELD: c = copy(READY, g)
        elif rule("give-back-ids"): c = copy(DONE, g)
    elif rule("give-back-ids") and c != ABSENT and ended(other) and gen(other) >= gen(c) and not ended(c): c = copy(DONE, g)
    e = s[EPOCH] or e
    if sealed and rule("give-back-intent"):       # the seal proves the intent, the close record the home
        if sealed == CLOSED: z = HOME
        elif active(e) == 0: yield "repair.gives-back", to(s, *stop, COPY, c, LOST, 0, EPOCH, e, INTENT, e); return
    yield "repair.gives-back", to(s, *stop, COPY, c, LOST, 0, EPOCH, e, SEAL, z)

def world(s):
    """losses of data at A, and forgetting of ended ids (rule 5: 10 minutes after the end, which is durable by then)"""
    if armed(s):
        now = (s[COPY], s[EPOCH], s[INTENT], s[SEAL])
        saved = tuple(s[D_COPY:D_SEAL + 1])
        waiting = [k for k in (MOVER, MOVER + 1, SETTLER, CANCELLER, RETRIER, REPAIR) if s[k] & WAIT and s[k] != END]
        if now != saved or waiting:
            yield "world.becomes-durable", to(s, D_COPY, now[0], D_EPOCH, now[1], D_INTENT, now[2], D_SEAL, now[3], *(x for k in waiting for x in (k, s[k] & ~WAIT)))
        gone = [x for k in waiting for x in (k, 0)] + ([R_EPOCH, 0, R_SEEN, 0, R_NEW, 0] if REPAIR in waiting else [])
        yield "world.crash", lose(to(s, *gone), saved, 1 if rule("run-id") else 0)
    if fault("forget") and not s[LOSSES] and CLOSED not in (s[SEAL], s[SEAL + 1]):
        yield "world.forget", lose(s, (ABSENT, 0, 0, OPEN), 1)
    if fault("retention"):
        for i in (0, 1):
            if ended(s[COPY + i]) and (i == 1 or not armed(s) or s[COPY] == s[D_COPY]) and (not rule("remember") or (s[COPY + 1 - i] == ABSENT or ended(s[COPY + 1 - i]) or s[SEAL + 1 - i] == CLOSED) and not late(s) and s[FIRST] and not s[REPAIR]
                                       and durable(s, 1 - i, COPY + 1 - i, "forget") and s[CANCELLED] != 1):
                yield f"world.forgets{'AB'[i]}", to(s, COPY + i, ABSENT, SECOND, END)     # too late for a second call (rule 7)

def lose(s, saved, lost):
    """A falls back; what a crash legitimately takes (docs/guarantees.md, promise 1) is excused, and no more"""
    c, b = s[COPY], s[COPY + 1]
    n = to(s, COPY, saved[0], EPOCH, saved[1], INTENT, saved[2], SEAL, saved[3], LOST, lost, LOSSES, 1, D_COPY, 0, D_EPOCH, 0, D_INTENT, 0, D_SEAL, 0)
    was, now = c, saved[0]
    if was == now or was == ABSENT: return n
    g = gen(was)
    if (kind(was) == RUNNING or ended(was) and not (ended(now) and gen(now) == g)) and not s[CANCELLED] and not (ended(b) and gen(b) >= g) and g + 1 >= s[ACCEPTED]:
        n = to(n, MAY_RUN, 1, ENDED, min(s[ENDED], g) if now != ABSENT else s[ENDED])      # claims and acks: those jobs run again
    unmirrored = b == ABSENT or gen(b) < g
    if (now == ABSENT or gen(now) < g) and unmirrored:                           # an enqueue, or a retry, without its mirror
        n = to(n, ACCEPTED, 0 if now == ABSENT else g)
    return n

ACTORS = (flips_and_seals, producers, workers, movers, person, repair, world)

def violation(s):
    a, b = s[COPY], s[COPY + 1]
    if s[BAD]: return ("", "RUNS AFTER A CANCEL THAT RETURNED", "AN OLD GENERATION RUNS", "RUNS TWICE without a failure or a lapsed lease")[s[BAD]]
    if live(a) and live(b): return "TWO OWNERS: fetchable or running on both sides"
    for p in (0, 1):
        if s[SEAL + p] in (SEALED, CLOSED) and s[EPOCH] == s[EPOCH + 1] and active(s[EPOCH + p]) == p: return "THE SEALED SIDE IS ACTIVE"
    if s[CANCELLED]: return None
    unfinished = [c for c in (a, b) if kind(c) in (HELD, READY, RUNNING, MOVING)]
    pending = s[ACCEPTED] > s[ENDED] and not unprotected(s)
    if pending and not any(gen(c) + 1 >= s[ACCEPTED] for c in unfinished): return "LOSS: accepted, not ended, nowhere"
    for p in (0, 1):
        if s[SEAL + p] == CLOSED and pending and not live(s[COPY + 1 - p]): return "CLOSED TOO EARLY: the surviving side does not own the job"
    if not (s[LOSSES] and fault("forget")) and (live(a) and ended(b) and gen(b) >= gen(a) or live(b) and ended(a) and gen(a) >= gen(b)): return "LIVE AGAIN after its end"

def unprotected(s):
    """once the mirrors are being dropped from a sealed side, nothing protects a home without AOF any more (until an abort has backfilled)"""
    return s[LOSSES] and fault("forget") and (s[SEAL + 1] != OPEN or s[BARE])

def final(s):
    return s[ENDED] >= s[ACCEPTED] or (s[CANCELLED] or unprotected(s)) and not any(kind(c) in (HELD, READY, RUNNING, MOVING) for c in s[COPY:COPY + 2])

def explore():
    index, states, parent, edges, begin, todo = {START: 0}, [START], array("i", [-1]), array("i"), array("q"), 0
    while todo < len(states):
        s = states[todo]
        wrong = violation(s)
        if wrong: return trace(wrong, states, parent, todo)
        begin.append(len(edges))
        for actor in ACTORS:
            for _, n in actor(s):
                k = index.get(n)
                if k is None:
                    k = index[n] = len(states); states.append(n); parent.append(todo)
                edges.append(k)
        todo += 1
    begin.append(len(edges))
    index = None
    count = len(states)                           # liveness: backwards from the states in which X has ended
    back = array("i", [0]) * (count + 1)
    for k in edges: back[k + 1] += 1
    for k in range(count): back[k + 1] += back[k]
    source, fill = array("i", [0]) * len(edges), array("i", back)
    for k in range(count):
        for j in range(begin[k], begin[k + 1]):
            n = edges[j]; source[fill[n]] = k; fill[n] += 1
    good = bytearray(count); stack = [k for k in range(count) if final(states[k])]
    for k in stack: good[k] = 1
    while stack:
        n = stack.pop()
        for j in range(back[n], back[n + 1]):
            if not good[source[j]]: good[source[j]] = 1; stack.append(source[j])
    stuck = [k for k in range(count) if not good[k]]
    if stuck: return trace(f"STUCK: X can no longer end ({len(stuck):,} of {count:,} states)", states, parent, stuck[0])
    print(f"{count:,} states, every invariant holds")
    return 0

def trace(wrong, states, parent, k):
    path = []
    while k >= 0: path.append(states[k]); k = parent[k]
    print(f"{wrong}   (after {len(path) - 1} steps; {len(states):,} states seen)")
    before = None
    for s in reversed(path):
        name = "start" if before is None else next(name for actor in ACTORS for name, n in actor(before) if n == s)
        seals = "".join("." if z == OPEN else "SCH"[z - 1] for z in s[SEAL:SEAL + 2])
        print(f"  {name:30} A={show(s[COPY]):10} B={show(s[COPY + 1]):10} epochs={s[EPOCH]},{s[EPOCH + 1]} intents={s[INTENT]},{s[INTENT + 1]} seals={seals}"
              + (f" durable A={show(s[D_COPY])} epoch {s[D_EPOCH]}" if armed(s) else " lost" if s[LOST] else ""))
        before = s
    return 1

def run_all(limit):
    """every fault, the pairs and the mutations, each in a process of its own"""
    print("states, seconds and verdict of each run; under a mutation an invariant must break\n")
    wrong = 0
    for title, must_break, runs in (
            ("faults, every rule in place", False, ["", *FAULTS]), ("pairs", False, PAIRS),
            ("mutations", True, [f"{f} no-{name}".strip() for name, (f, _) in MUTATIONS.items()]),
            ("dropped and not missed (for information)", None, [f"{f} no-{name}" for name, (f, _) in UNCAUGHT.items()])):
        print(title)
        for run in runs:
            began = time.time()
            try:
                done = subprocess.run([sys.executable, __file__, *run.split()], capture_output=True, text=True, timeout=limit)
                line, code = (done.stdout or done.stderr.strip().rsplit("\n", 1)[-1]).split("\n")[0], done.returncode
            except subprocess.TimeoutExpired:
                line, code = f"not finished in {limit} s", 2
            bad = must_break is not None and (code != 1 if must_break else code != 0)
            wrong += bad
            print(f"  {run or 'none':45} {time.time() - began:6.0f} s  {'WRONG  ' if bad else ''}{line}", flush=True)
    return 1 if wrong else 0

if __name__ == "__main__":
    if "--all" in ARGS:
        sys.exit(run_all(next((int(x) for x in sys.argv[1:] if x.isdigit()), 900)))
    known_args = {*FAULTS, *(f"no-{n}" for name in (*MUTATIONS, *UNCAUGHT) for n in name.split(" no-"))}
    for x in ARGS:
        if x not in known_args and not x.startswith("epochs="):
            sys.exit(f"unknown argument {x}")
    sys.exit(explore())
