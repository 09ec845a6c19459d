#!/usr/bin/env python3
"""Helper of `lab`: a server that never rests.

    lab-storm.py LAB.ENV SECONDS USER [--seed S] [--no-changes]

Two threads deliver mail by LMTP as fast as they can, two more change what is there
by IMAP: flags, expunges, moves, copies, appends, renames, creates and deletes. At
the end it prints one line: deliveries, changes, seconds. With --no-changes it only
delivers. Any refusal by the server that is not the race of two threads ends it with 1.
"""
import argparse
import imaplib
import random
import smtplib
import sys
import threading
import time

PASS = "labpass"


def env(path):
    with open(path, encoding="utf-8") as f:
        return dict(line.rstrip("\n").split("=", 1) for line in f if "=" in line)


class Storm:
    def __init__(self, e, user, seconds, seed):
        self.env, self.user, self.seed = e, user, seed
        self.until = time.monotonic() + seconds
        self.deliveries = 0
        self.changes = 0
        self.failure = None
        self.lock = threading.Lock()

    def running(self):
        return self.failure is None and time.monotonic() < self.until

    def deliver(self, number):
        rng = random.Random("%s deliver %d" % (self.seed, number))
        with smtplib.LMTP(self.env["HOST"], int(self.env["LMTP_PORT"])) as lmtp:
            while self.running():
                body = "\r\n".join("%x" % rng.getrandbits(240) for _ in range(rng.randint(1, 200)))
                text = ("From: sender@example.org\r\nTo: %s\r\nSubject: storm %d\r\n"
                        "Message-Id: <%x@example.org>\r\n\r\n%s\r\n"
                        % (self.user, rng.randint(0, 999), rng.getrandbits(64), body))
                lmtp.sendmail("sender@example.org", [self.user], text.encode())
                with self.lock:
                    self.deliveries += 1

    def change(self, number):
        rng = random.Random("%s change %d" % (self.seed, number))
        imap = imaplib.IMAP4(self.env["HOST"], int(self.env["IMAP_PORT"]))
        imap.login(self.user, PASS)
        folders = ["storm%d.%d" % (number, i) for i in range(4)]
        for folder in folders:
            imap.create('"%s"' % folder)
        renamed = 0
        while self.running():
            step = rng.random()
            if step < 0.06:      # a rename there and back by a new name
                at = rng.randrange(len(folders))
                renamed += 1
                target = "storm%d.r%d" % (number, renamed)
                imap.select('"INBOX"')
                imap.rename('"%s"' % folders[at], '"%s"' % target)
                folders[at] = target
            elif step < 0.12:    # delete and create
                at = rng.randrange(len(folders))
                imap.select('"INBOX"')
                imap.delete('"%s"' % folders[at])
                renamed += 1
                folders[at] = "storm%d.n%d" % (number, renamed)
                imap.create('"%s"' % folders[at])
            else:
                self.change_messages(imap, rng, folders)
            with self.lock:
                self.changes += 1
        imap.logout()

    def change_messages(self, imap, rng, folders):
        mailbox = rng.choice(["INBOX"] + folders)
        typ, data = imap.select('"%s"' % mailbox)
        if typ != "OK":
            return                                  # the other thread has removed it
        count = int(data[0] or 0)
        if count == 0:
            text = b"From: a@example.org\r\nSubject: appended\r\n\r\n%d\r\n" % rng.getrandbits(64)
            imap.append('"%s"' % mailbox, None, None, text)
            return
        first = rng.randint(1, count)
        last = min(count, first + rng.randint(0, 5))
        which = "%d:%d" % (first, last)
        step = rng.random()
        if step < 0.4:
            flag = rng.choice([r"\Seen", r"\Flagged", r"\Answered", "$Label1", "storm%d" % rng.randint(0, 9)])
            imap.store(which, rng.choice(["+FLAGS", "-FLAGS"]), "(%s)" % flag)
        elif step < 0.6:
            imap.copy(which, '"%s"' % rng.choice(folders))
        elif step < 0.75:
            imap._simple_command("MOVE", which, '"%s"' % rng.choice(folders))
        else:
            imap.store(which, "+FLAGS", r"(\Deleted)")
            imap.expunge()

    def run(self, work, number):
        try:
            work(number)
        except Exception as error:                  # whatever it is, the run has failed
            self.failure = self.failure or "%s %d: %r" % (work.__name__, number, error)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("env")
    p.add_argument("seconds", type=float)
    p.add_argument("user")
    p.add_argument("--seed", default="1")
    p.add_argument("--no-changes", action="store_true")
    a = p.parse_args()
    imaplib.Commands.setdefault("MOVE", ("SELECTED",))
    storm = Storm(env(a.env), a.user, a.seconds, a.seed)
    work = [(storm.deliver, 0), (storm.deliver, 1)]
    if not a.no_changes:
        work += [(storm.change, 0), (storm.change, 1)]
    started = time.monotonic()
    threads = [threading.Thread(target=storm.run, args=w) for w in work]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print("%d %d %.3f" % (storm.deliveries, storm.changes, time.monotonic() - started))
    if storm.failure:
        sys.exit("lab-storm: " + storm.failure)


if __name__ == "__main__":
    main()
