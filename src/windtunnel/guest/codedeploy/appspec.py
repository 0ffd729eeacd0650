"""What an application specification file (appspec.yml) says, checked with the messages of AWS's agent.

Invariant: an `AppSpec` that was made is well formed; a document of whatever shape ends in `Invalid`, never in another error, and
costs no more than its size (aliases are not expanded, nothing but scalars is turned into text).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

LARGEST = 1 << 20
MOST_ENTRIES = 10_000
FILE_EXISTS = ("DISALLOW", "OVERWRITE", "RETAIN")
TYPES = ("file", "directory")
FAILED = "The deployment failed because "
NO_LOCATION = (
    FAILED + "the application specification file specifies a script with no location value. Specify the location in the hooks section"
    " of the AppSpec file, and then try again."
)
NO_OBJECT = (
    FAILED + "a permission listed in the application specification file has no object value. Update the permissions section of the"
    " AppSpec file, and then try again."
)


class Invalid(Exception):
    """The file is not a valid application specification; the text says what is wrong."""


class File(NamedTuple):
    source: str
    destination: str


class Script(NamedTuple):
    """timeout in seconds."""

    location: str
    timeout: int
    runas: str = ""
    sudo: bool = False


class Permission(NamedTuple):
    """mode: octal digits. context: user, type and range for SELinux."""

    object: str
    pattern: str
    except_: tuple[str, ...]
    types: tuple[str, ...]
    owner: str
    group: str
    mode: str
    acls: tuple[str, ...]
    context: dict[str, Any] | None


class AppSpec(NamedTuple):
    """file_exists: "" when the file leaves it to the deployment."""

    files: tuple[File, ...]
    hooks: dict[str, tuple[Script, ...]]
    permissions: tuple[Permission, ...]
    file_exists: str


def find(archive: Path) -> Path:
    """The specification file of an unpacked revision; `Invalid` when there is none."""
    for name in ("appspec.yml", "appspec.yaml"):
        if (archive / name).is_file():
            return archive / name
    raise Invalid(
        'The CodeDeploy agent did not find an AppSpec file within the unpacked revision directory at revision-relative path "appspec.yml".'
        f' The revision was unpacked to directory "{archive}", and the AppSpec file was expected but not found at path'
        f' "{archive / "appspec.yml"}". Consult the AWS CodeDeploy Appspec documentation for more information at'
        " http://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file.html"
    )


def read(archive: Path) -> AppSpec:
    """The specification of an unpacked revision."""
    file = find(archive)
    if file.stat().st_size > LARGEST:
        raise Invalid(FAILED + f"the application specification file is larger than {LARGEST} bytes.")
    return parse(file.read_text(errors="replace"))


def parse(text: str) -> AppSpec:
    document = _load(text)
    if document is None:
        raise Invalid(
            FAILED + "the application specification file was empty. Make sure your AppSpec file defines at minimum the 'version' and"
            " 'os' properties."
        )
    if not isinstance(document, dict):
        raise Invalid(FAILED + "the application specification file is not a mapping of properties such as 'version' and 'os'.")
    _check_version(document.get("version"))
    _check_os(document.get("os"))
    return AppSpec(
        files=tuple(_file(entry) for entry in _list(document.get("files"), "files")),
        hooks=_hooks(document.get("hooks")),
        permissions=tuple(_permission(entry) for entry in _list(document.get("permissions"), "permissions")),
        file_exists=_file_exists(document.get("file_exists_behavior")),
    )


def _load(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """The pure loader (libyaml's recursion has no bound); merge keys, which do expand, are bounded."""

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            super().flatten_mapping(node)
            if len(node.value) > MOST_ENTRIES:
                raise yaml.YAMLError(f"a mapping has more than {MOST_ENTRIES} entries")

    try:
        return yaml.load(text, Loader=Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise Invalid(FAILED + f"the application specification file could not be parsed as YAML: {said}") from error


def _scalar(value: Any) -> str:
    """A value as text for a message; a collection is only named."""
    if isinstance(value, (dict, list, tuple, set)):
        return f"a {type(value).__name__}"
    return "" if value is None else str(value)


def _check_version(version: Any) -> None:
    if isinstance(version, bool) or not isinstance(version, (int, float)) or version != 0:
        raise Invalid(
            FAILED + f"an invalid version value ({_scalar(version)}) was entered in the application specification file. Make sure your"
            ' AppSpec file specifies "0.0" as the version, and then try again.'
        )


def _check_os(system: Any) -> None:
    if system != "linux":
        raise Invalid(
            FAILED + f"the application specification file specifies an unsupported operating system ({_scalar(system)}). Specify either"
            ' "linux" or "windows" in the os section of the AppSpec file, and then try again.'
        )


def _list(value: Any, section: str) -> Iterable[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Invalid(FAILED + f"the {section} section of the application specification file is not a list.")
    return value


def _mapping(value: Any, section: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid(FAILED + f"an entry of the {section} section of the application specification file is not a mapping.")
    return value


def _file(entry: Any) -> File:
    found = _mapping(entry, "files")
    source, destination = found.get("source"), found.get("destination")
    if source is None:
        raise Invalid(
            FAILED + "the application specification file specifies a destination file, but no source file. Update the files section of"
            " the AppSpec file, and then try again."
        )
    if destination is None:
        raise Invalid(
            FAILED + f"the application specification file specifies only a source file ({_scalar(source)}). Add the name of the"
            " destination file to the files section of the AppSpec file, and then try again."
        )
    return File(_scalar(source), _scalar(destination))


def _hooks(value: Any) -> dict[str, tuple[Script, ...]]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid(FAILED + "the hooks section of the application specification file is not a mapping of lifecycle events.")
    lists = {_scalar(event): list(_list(scripts, "hooks")) for event, scripts in value.items()}
    if sum(map(len, lists.values())) > MOST_ENTRIES:
        raise Invalid(FAILED + f"the hooks section of the application specification file has more than {MOST_ENTRIES} scripts.")
    return {event: tuple(_script(entry) for entry in scripts) for event, scripts in lists.items()}


def _script(entry: Any) -> Script:
    found = _mapping(entry, "hooks")
    location = _scalar(found.get("location")).strip()
    if not location:
        raise Invalid(NO_LOCATION)
    given = found.get("timeout")
    timeout = 3600 if given is None else _leading_integer(given)
    if timeout <= 0:
        raise Invalid(
            FAILED + "an invalid timeout value was provided for a script in the application specification file. Make corrections in the"
            " hooks section of the AppSpec file, and then try again."
        )
    return Script(location, timeout, _scalar(found.get("runas")).strip(), bool(found.get("sudo")))


def _leading_integer(value: Any) -> int:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value) if abs(value) < 1 << 31 else 0
    digits = re.match(r"\s*[+-]?[0-9]{1,9}", _scalar(value))
    return int(digits[0]) if digits else 0


def _permission(entry: Any) -> Permission:
    found = _mapping(entry, "permissions")
    target = _scalar(found.get("object")).strip()
    if not target:
        raise Invalid(NO_OBJECT)
    types = tuple(_scalar(t) for t in _list(found.get("type"), "permissions")) if found.get("type") is not None else TYPES
    for kind in types:
        if kind not in TYPES:
            raise Invalid(
                FAILED + f"the application specification file specifies a permission for an object type not supported for permissions"
                f" ({kind}). Update the permissions section of the AppSpec file, and then try again."
            )
    context = found.get("context")
    return Permission(
        object=target,
        pattern=_scalar(found.get("pattern")) or "**",
        except_=tuple(_scalar(pattern) for pattern in _list(found.get("except"), "permissions")),
        types=types,
        owner=_scalar(found.get("owner")),
        group=_scalar(found.get("group")),
        mode=_mode(found.get("mode")),
        acls=tuple(_scalar(acl) for acl in _list(found.get("acls"), "permissions")),
        context=None if context is None else _mapping(context, "permissions"),
    )


def _mode(value: Any) -> str:
    if value is None:
        return ""
    mode = _scalar(value).rjust(3, "0")
    if len(mode) > 4:
        raise Invalid(
            FAILED + f"the length of a permissions mode ({mode}) in the application specification file is invalid. Permissions modes must"
            " be between one and four characters long. Update the permissions section of the AppSpec file, and then try again."
        )
    for character in mode:
        if character not in "01234567":
            raise Invalid(
                FAILED + f"the permissions mode ({mode}) in the application specification file contains an invalid character"
                f" ({character}). Update the permissions section of the AppSpec file, and then try again."
            )
    return mode


def _file_exists(value: Any) -> str:
    if value is None:
        return ""
    behavior = _scalar(value)
    if behavior not in FILE_EXISTS:
        raise Invalid(
            FAILED + f"an invalid option was specified for fileExistsBehavior: {behavior}. Valid options include OVERWRITE, RETAIN, and"
            " DISALLOW."
        )
    return behavior
