"""PID 1 of a build's sandbox: fetches the source, runs the buildspec's phases, uploads the artifacts, and says all of it on stdout.

Why it runs inside: the build goes on when the cloud is killed, and whatever it does it does as its service role, over the same APIs as
any client.

Invariants: phases follow CodeBuild's table of transitions (`Runner.run`); every phase that began is said to have ended, unless this
process is killed; `done` is the last thing said.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from windtunnel.guest.build_log import Speaker
from windtunnel.guest.build_shell import Shell
from windtunnel.guest.build_spec import BuildSpec, PhaseSpec, SpecError, parse

if TYPE_CHECKING:
    from windtunnel.guest import aws
    from windtunnel.guest.build_spec import ArtifactSpec

PLAN_FILE = "/codebuild/readonly/plan.json"
SCRATCH = "/codebuild/output/tmp"
TERMINATED = 143
PARAMETERS_AT_ONCE = 10
_MODELLED = {"PLAINTEXT": "variables", "PARAMETER_STORE": "parameters", "SECRETS_MANAGER": "secrets"}


class PhaseFailed(Exception):
    """A phase's failure: statusCode and message of its context."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Terminated(BaseException):
    """SIGTERM: the sandbox is being ended."""


def on_term(*_: object) -> None:
    raise Terminated


class Runner:
    """One build. plan: as services/codebuild/plan.py makes it."""

    def __init__(self, plan: Mapping[str, Any], speaker: Speaker, environment: Mapping[str, str], scratch: str = SCRATCH) -> None:
        self._plan = plan
        self._speaker = speaker
        self._scratch = scratch
        self._environment = dict(environment)
        self._source = os.path.join(plan["directory"], "src")
        self._spec = BuildSpec("0.2", {})
        self._shell: Shell | None = None
        self._made_client: aws.Client | None = None
        self._failed = False

    def run(self) -> None:
        """All phases. What fails before BUILD ends the build; from BUILD on, artifacts are uploaded whatever happened."""
        if not self._phase("DOWNLOAD_SOURCE", self._download):
            return
        for name in ("install", "pre_build"):
            if not self._commands_phase(name) and self._phase_spec(name).on_failure.action != "CONTINUE":
                return
        if not self._commands_phase("build"):
            self._shell_now.set("CODEBUILD_BUILD_SUCCEEDING", "0")
            if self._phase_spec("build").on_failure.action == "ABORT":
                self._export()
                return
        if not self._commands_phase("post_build") and self._phase_spec("post_build").on_failure.action == "ABORT":
            self._export()
            return
        self._export()
        self._phase("UPLOAD_ARTIFACTS", self._upload)

    # -- phases -------------------------------------------------------------------------------------------------------

    def _phase(self, name: str, action: Callable[[], None]) -> bool:
        """Run one phase and say how it ended. True when it succeeded."""
        self._speaker.say(begin=name)
        self._note(f"Entering phase {name}" if name not in ("DOWNLOAD_SOURCE", "UPLOAD_ARTIFACTS") else f"Phase is {name}")
        try:
            action()
        except PhaseFailed as failure:
            self._failed = True
            self._note(f"Phase complete: {name} State: FAILED")
            message = self._speaker.mask(failure.message)
            self._note(f"Phase context status code: {failure.code} Message: {message}")
            self._speaker.say(phase=name, status="FAILED", contexts=[{"statusCode": failure.code, "message": message}])
            return False
        self._note(f"Phase complete: {name} State: SUCCEEDED")
        self._note("Phase context status code:  Message: ")
        self._speaker.say(phase=name, status="SUCCEEDED")
        return True

    def _commands_phase(self, name: str) -> bool:
        return self._phase(name.upper(), lambda: self._run_phase(self._phase_spec(name)))

    def _phase_spec(self, name: str) -> PhaseSpec:
        return self._spec.phases.get(name, PhaseSpec())

    def _run_phase(self, phase: PhaseSpec) -> None:
        tries = phase.on_failure.tries if phase.on_failure.action == "RETRY" else 0
        while True:
            try:
                self._once(phase)
                return
            except PhaseFailed as failure:
                if tries == 0 or (phase.on_failure.pattern and not re.search(phase.on_failure.pattern, failure.message)):
                    raise
                tries -= 1
                self._note(f"Retrying the phase, {tries} more after this: {failure.message}")

    def _once(self, phase: PhaseSpec) -> None:
        """The commands, then `finally` whatever they did; the first failure is the phase's."""
        failure: PhaseFailed | None = None
        for commands in (phase.commands, phase.finally_):
            try:
                for command in commands:
                    self._command(command, phase.run_as or self._spec.run_as)
            except PhaseFailed as failed:
                failure = failure or failed
        if failure is not None:
            raise failure

    def _command(self, command: str, user: str) -> None:
        shown = command.strip()
        self._note(f"Running command {shown}")
        if self._spec.version == "0.1":
            self._shell_now.forget()
        try:
            status = self._shell_now.run(command, user)
        except KeyError as error:
            raise PhaseFailed("COMMAND_EXECUTION_ERROR", f"Error while executing command: {shown}. Reason: unknown user {user}") from error
        if status != 0:
            self._note(f"Command did not exit successfully {shown} exit status {status}")
            raise PhaseFailed("COMMAND_EXECUTION_ERROR", f"Error while executing command: {shown}. Reason: exit status {status}")

    # -- DOWNLOAD_SOURCE ------------------------------------------------------------------------------------------------

    def _download(self) -> None:
        primary, *others = self._plan["sources"]
        self._source = self._fetch(primary, os.path.join(self._plan["directory"], "src"))
        variables = {"CODEBUILD_SRC_DIR": self._source}
        for source in others:
            directory = f"{self._plan['directory']}_{source['identifier']}/src"
            variables[f"CODEBUILD_SRC_DIR_{source['identifier']}"] = self._fetch(source, directory)
        self._note(f"CODEBUILD_SRC_DIR={self._source}")
        self._environment.update(variables)
        self._spec = self._read_spec()
        for note in self._spec.notes:
            self._note(note)
        self._environment.update(self._variables())
        self._shell = Shell(self._speaker.line, self._environment, self._source, self._spec.shell)
        self._check_runtimes(self._phase_spec("install").runtimes)

    def _fetch(self, source: Mapping[str, Any], directory: str) -> str:
        if source["type"] == "NO_SOURCE":
            os.makedirs(directory, exist_ok=True)
            return directory
        from windtunnel.guest import build_source

        if source["type"] == "CODECOMMIT":
            host = f"git-codecommit.{self._plan['region']}.amazonaws.com"
            directory = os.path.join(directory, host, "v1/repos", build_source.repository(source["location"]))
        os.makedirs(self._scratch, exist_ok=True)
        try:
            resolved = build_source.fetch(source, directory, self._client, self._plan["endpoint"], self._scratch)
        except build_source.SourceError as error:
            raise PhaseFailed("CLIENT_ERROR", str(error)) from error
        if resolved and not source.get("identifier"):
            self._environment["CODEBUILD_RESOLVED_SOURCE_VERSION"] = resolved
            self._speaker.say(resolved=resolved)
        return directory

    @property
    def _client(self) -> aws.Client:
        if self._made_client is None:
            from windtunnel.guest import aws

            self._made_client = aws.Client(self._plan["endpoint"], self._plan["region"], waiting=self._note)
        return self._made_client

    @property
    def _shell_now(self) -> Shell:
        if self._shell is None:
            raise PhaseFailed("INTERNAL_SERVICE_ERROR", "there is no shell before the source was downloaded")
        return self._shell

    def _read_spec(self) -> BuildSpec:
        text = self._spec_text(self._plan["buildspec"])
        try:
            return parse(text)
        except SpecError as error:
            raise PhaseFailed("YAML_FILE_ERROR", str(error)) from error

    def _spec_text(self, given: str) -> str:
        """The buildspec: inline, an object in S3, or a file of the source."""
        if is_inline(given):
            return given
        if given.startswith("arn:"):
            return self._spec_object(given)
        path = os.path.join(self._source, given or "buildspec.yml")
        self._note(f"YAML location is {path}")
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read((1 << 20) + 1)
        except OSError as error:
            reason = "no such file or directory" if isinstance(error, FileNotFoundError) else (error.strerror or "").lower()
            raise PhaseFailed("YAML_FILE_ERROR", f"stat {path}: {reason}") from error

    def _spec_object(self, arn: str) -> str:
        from windtunnel.guest import aws

        bucket, _, key = arn.rpartition(":::")[2].partition("/")
        target = os.path.join(self._scratch, "buildspec")
        os.makedirs(self._scratch, exist_ok=True)
        try:
            self._client.get_object(bucket, key, target)
        except aws.ApiError as error:
            raise PhaseFailed("YAML_FILE_ERROR", f"error while downloading {arn}: {error}") from error
        with open(target, encoding="utf-8", errors="replace") as file:
            return file.read()

    def _check_runtimes(self, wanted: Mapping[str, str]) -> None:
        """The stock image has one Python. Another version of it is said, another language is refused."""
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        for language, version in wanted.items():
            if language != "python":
                raise PhaseFailed(
                    "YAML_FILE_ERROR",
                    f"Unknown runtime version named '{version}' of {language}. This build image has the following versions: none",
                )
            if not version.startswith(str(sys.version_info.major)) and version != "latest":
                raise PhaseFailed(
                    "YAML_FILE_ERROR",
                    f"Unknown runtime version named '{version}' of python. This build image has the following versions: {own}",
                )
            if version not in (own, "latest", "3.x"):
                self._note(f"Windtunnel's stock image has Python {own} only; the buildspec asked for {version}")

    # -- variables --------------------------------------------------------------------------------------------------------

    def _variables(self) -> dict[str, str]:
        """The build's own variables: StartBuild's and the project's win over the buildspec's."""
        given: dict[str, dict[str, str]] = {kind: {} for kind in _MODELLED.values()}
        for variable in self._plan["variables"]:
            given[_MODELLED[variable["type"]]][variable["name"]] = variable["value"]
        taken = {name for values in given.values() for name in values}
        for kind in given:
            own: dict[str, str] = getattr(self._spec, kind)
            given[kind] = {**{name: value for name, value in own.items() if name not in taken}, **given[kind]}
        found = {**given["variables"], **self._parameters(given["parameters"]), **self._secrets(given["secrets"])}
        for name in found:
            if not name or "=" in name or "\0" in name + found[name]:
                raise PhaseFailed("CLIENT_ERROR", f"the environment variable {name!r} cannot be passed to a command")
        return found

    def _parameters(self, wanted: Mapping[str, str]) -> dict[str, str]:
        if not wanted:
            return {}
        from windtunnel.guest import aws

        values: dict[str, str] = {}
        names = list(dict.fromkeys(wanted.values()))
        for start in range(0, len(names), PARAMETERS_AT_ONCE):
            payload = {"Names": names[start : start + PARAMETERS_AT_ONCE], "WithDecryption": True}
            try:
                reply = self._client.json("ssm", "AmazonSSM.GetParameters", payload)
            except aws.ApiError as error:
                raise PhaseFailed("Decrypted Variables Error", str(error)) from error
            for missing in reply.get("InvalidParameters", []):
                raise PhaseFailed("Decrypted Variables Error", f"parameter does not exist: {missing}")
            for parameter in reply["Parameters"]:
                values[parameter["Name"] + parameter.get("Selector", "")] = parameter["Value"]
                values[parameter.get("ARN", "")] = parameter["Value"]
        self._speaker.hide(values.values())
        return {variable: values[name] for variable, name in wanted.items()}

    def _secrets(self, wanted: Mapping[str, str]) -> dict[str, str]:
        found = {variable: self._secret(reference) for variable, reference in wanted.items()}
        self._speaker.hide(found.values())
        return found

    def _secret(self, reference: str) -> str:
        from windtunnel.guest import aws

        identifier, key, stage, version = secret_reference(reference)
        payload = {"SecretId": identifier, **({"VersionStage": stage} if stage else {}), **({"VersionId": version} if version else {})}
        try:
            reply = self._client.json("secretsmanager", "secretsmanager.GetSecretValue", payload)
        except aws.ApiError as error:
            raise PhaseFailed("Secrets Manager Error Message", error.message or error.code) from error
        text = str(reply.get("SecretString", ""))
        if not key:
            return text
        try:
            value = json.loads(text)[key]
        except (ValueError, KeyError, TypeError) as error:
            raise PhaseFailed("Secrets Manager Error Message", f"the secret {identifier} has no JSON key {key}") from error
        return value if isinstance(value, str) else json.dumps(value)

    # -- the end ----------------------------------------------------------------------------------------------------------

    def _export(self) -> None:
        """The exported variables as they are now; one that is not set is exported empty."""
        exported = [{"name": name, "value": self._shell_now.evaluate(f"${{{name}}}")} for name in self._spec.exported if is_name(name)]
        self._speaker.say(exported=exported)

    def _upload(self) -> None:
        primary, secondary = self._plan["artifacts"], self._plan["secondary_artifacts"]
        if primary["type"] not in ("NO_ARTIFACTS",) and (primary.get("location") or primary["type"] == "S3"):
            section = self._spec.artifacts
            if section is not None:
                self._speaker.say(artifacts=self._upload_one(primary, section))
            elif not self._spec.secondary:
                self._note("the buildspec has no artifacts section: nothing is uploaded")
        done = []
        for artifact in secondary:
            identifier = artifact.get("artifactIdentifier", "")
            section = self._spec.secondary.get(identifier)
            if section is None:
                raise PhaseFailed("CLIENT_ERROR", f"no matching secondary artifact found in the buildspec for {identifier}")
            done.append({**self._upload_one(artifact, section), "artifactIdentifier": identifier})
        if done:
            self._speaker.say(secondary=done)

    def _upload_one(self, artifact: Mapping[str, Any], section: ArtifactSpec) -> dict[str, str]:
        from windtunnel.guest import build_artifacts

        name = artifact.get("name") or "/"
        if artifact.get("overrideArtifactName") and section.name:
            name = self._shell_now.evaluate(section.name.replace('"', '\\"'))
        if section.prefix:
            artifact = {**artifact, "path": "/".join(part for part in (section.prefix, artifact.get("path")) if part)}
        os.makedirs(self._scratch, exist_ok=True)
        try:
            files = build_artifacts.collect(section, self._source, self._note)
            return build_artifacts.upload(
                self._client, artifact, files, name, self._plan["uuid"], self._plan["arn"], self._scratch, section.symlinks
            )
        except build_artifacts.ArtifactError as error:
            raise PhaseFailed("CLIENT_ERROR", str(error)) from error

    def _note(self, text: str) -> None:
        self._speaker.note(text)


def is_inline(buildspec: str) -> bool:
    """Whether a project's buildspec is the text itself and not where it is."""
    return "\n" in buildspec or buildspec.lstrip().startswith(("{", "version"))


def is_name(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None


def secret_reference(reference: str) -> tuple[str, str, str, str]:
    """(id, JSON key, version stage, version id) of `id[:key[:stage[:version]]]`, the id being a name or an ARN."""
    parts = reference.split(":")
    if reference.startswith("arn:"):
        parts = [":".join(parts[:7]), *parts[7:]]
    identifier, key, stage, version = (*parts, "", "", "")[:4]
    return identifier, key, stage, version


def main() -> None:
    speaker = Speaker()
    signal.signal(signal.SIGTERM, on_term)
    try:
        with open(PLAN_FILE, encoding="utf-8") as file:
            plan = json.load(file)
        Runner(plan, speaker, os.environ).run()
        speaker.say(done=True)
    except Terminated:
        speaker.say(terminated=True)
        os._exit(TERMINATED)
    sys.stdout.flush()
    os._exit(0)
