"""Decoders are made one at a time: made by several threads at once, msgspec decodes with what it has not learned yet, and the process dies."""

from __future__ import annotations

import subprocess
import sys

RACE = """
import sys, threading
import msgspec
from windtunnel.kernel.typed import convert, decoder, from_json

sys.setswitchinterval(1e-6)
fields = [(f"a{n}", int) for n in range(30)]
inner = {f"a{n}": n for n in range(30)}
plain = {"inner": inner, "more": [inner]}
text = msgspec.json.encode(plain)

def structs(n):
    Inner = msgspec.defstruct(f"Inner{n}", fields)
    Outer = msgspec.defstruct(f"Outer{n}", [("inner", Inner), ("more", list[Inner])])
    return Inner, Outer, msgspec.defstruct(f"Other{n}", [("inner", Inner), ("more", list[Inner])])

done = []
for n in range(400):
    Inner, Outer, Other = structs(n)
    together = threading.Barrier(3)
    ways = (lambda: from_json(text, Outer), lambda: convert(plain, Other), lambda: decoder(list[Outer]).decode(b"[" + text + b"]")[0])
    def learn(way):
        together.wait()
        done.append(way().more[0].a29)
    threads = [threading.Thread(target=learn, args=(way,)) for way in ways]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print(len(done), set(done))
"""


def test_threads_that_learn_the_same_types() -> None:
    ended = subprocess.run([sys.executable, "-c", RACE], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout.split()) == (0, ["1200", "{29}"]), ended.stderr[-2000:]
