"""The recipe of the stock image: which packages, from which apt sources, changed how.

Why it exists: the image is made on the user's machine from the machine's own apt sources, so that no address and no registry is
written into this program. The recipe is data and pure functions; `compute/image.py` carries it out.

The invariant it keeps: `recipe_key` changes exactly when a fresh build could come out different by our doing.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

# fmt: off
PACKAGES = (
    # What AWS's curated build images and Amazon Linux both have, as far as hooks and buildspecs lean on it.
    "ca-certificates", "curl", "wget", "git", "jq", "unzip", "zip", "xz-utils", "make", "openssl", "less", "sudo", "procps",
    "iproute2", "iputils-ping", "nginx-light", "python3", "python3-venv", "python3-pip", "python3-yaml", "patch", "file",
)
# fmt: on

LEFT_OUT = ("/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/lintian/*")
KEPT = ("/usr/share/doc/*/copyright",)
COMPONENTS = frozenset({"main", "universe"})
CUSTOMIZE = Path(__file__).with_name("customize.sh")

Source = dict[str, str]
"""One deb822 stanza: Types, URIs, Suites, Components and options."""


def apt_sources(files: Mapping[str, str], suite: str) -> list[Source]:
    """The distribution's own archives of `suite` (with its updates and security suites) among the contents of apt's source files.

    files: name to text, `*.list` in one-line format and `*.sources` in deb822. Third parties' archives never name the
    distribution's suites and components, which is how they are told apart.
    """
    found: list[Source] = []
    for name in sorted(files):
        stanzas = _deb822(files[name]) if name.endswith(".sources") else _one_line(files[name])
        for stanza in stanzas:
            kept = _ours(stanza, suite)
            if kept is not None and kept not in found:
                found.append(kept)
    return found


def _ours(stanza: Source, suite: str) -> Source | None:
    suites = [s for s in stanza.get("Suites", "").split() if s in _suites(suite)]
    components = [c for c in stanza.get("Components", "").split() if c in COMPONENTS]
    if "deb" not in stanza.get("Types", "").split() or not suites or not components or stanza.get("Enabled", "yes").lower() == "no":
        return None
    return {**stanza, "Types": "deb", "Suites": " ".join(suites), "Components": " ".join(components)}


def _suites(suite: str) -> set[str]:
    return {suite, f"{suite}-updates", f"{suite}-security", f"{suite}/updates"}


def _deb822(text: str) -> Iterable[Source]:
    stanza: Source = {}
    last = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza, last = {}, ""
        elif line[0] in " \t" and last:
            stanza[last] += "\n" + line
        else:
            last, _, value = line.partition(":")
            stanza[last] = value.strip()


_OPTIONS = {"signed-by": "Signed-By", "arch": "Architectures", "trusted": "Trusted", "check-valid-until": "Check-Valid-Until"}


def _one_line(text: str) -> Iterable[Source]:
    for line in text.splitlines():
        kind, _, rest = line.split("#", 1)[0].strip().partition(" ")
        rest = rest.strip()
        options: Source = {}
        if rest.startswith("["):
            inside, _, rest = rest[1:].partition("]")
            pairs = (option.partition("=") for option in inside.split())
            options = {_OPTIONS[key]: value.replace(",", " ") for key, _, value in pairs if key in _OPTIONS}
        words = rest.split()
        if kind == "deb" and len(words) >= 3:
            yield {"Types": "deb", "URIs": words[0], "Suites": words[1], "Components": " ".join(words[2:]), **options}


def sources_text(sources: Iterable[Source]) -> str:
    return "\n".join("".join(f"{key}: {value}\n" for key, value in source.items()) for source in sources)


def mmdebstrap_argv(suite: str, target: Path, proxies: Mapping[str, str]) -> list[str]:
    """The command that writes the image's tar to `target`; it reads the sources from stdin."""
    paths = [f"--dpkgopt=path-exclude={p}" for p in LEFT_OUT] + [f"--dpkgopt=path-include={p}" for p in KEPT]
    apt = [f'--aptopt={key} "{value}"' for key, value in sorted(proxies.items())]
    hook = f'--customize-hook=sh {shlex.quote(str(CUSTOMIZE))} "$1"'
    include = f"--include={','.join(PACKAGES)}"
    return ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=tar", include, *paths, *apt, hook, suite, str(target)]


def recipe_key(sources: list[Source], suite: str, architecture: str) -> str:
    recipe = [PACKAGES, LEFT_OUT, KEPT, CUSTOMIZE.read_text(), sources, suite, architecture]
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
