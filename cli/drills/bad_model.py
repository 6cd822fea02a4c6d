"""The drill of a bad model: a training on data whose targets are shuffled must not get past the quality gate."""

from cli import registry, report
from cli.bakes import Bakes
from cli.display import step
from cli.drills.datasets import manifest_of, train_on, write_shuffled
from cli.drills.scene import Drill, Scene


def run(scene: Scene) -> None:
    """Bring a model into service, train on bad data, and look at what became of it."""
    good = scene.good_week()
    before, registered = scene.service(), len(registry.versions(scene.found))
    with step(scene.board, "Bad data") as say:
        manifest = manifest_of(scene.found, str(good.dataset_version))
        bad = write_shuffled(scene.found, manifest, scene.found.cloud.now().replace(microsecond=0))
        say(f"dataset version {bad.version}: the training rows of {manifest.version} with each other's targets")
    bakes = Bakes(scene.found.cloud, scene.board, advance=True)
    execution = scene.follow(arn := train_on(scene.found, bad), " (bad data)", bakes.pass_on)
    done = report.collect(scene.found.cloud, scene.found.stack.bucket, arn, execution)
    with scene.checks.during("bad data"):
        scene.checks.add(
            "execution",
            "succeeded, outcome rejected",
            f"{execution.status}, outcome {execution.outcome}",
            (execution.status, execution.outcome) == ("succeeded", "rejected"),
        )
        verdict = done.evaluate.verdict if done.evaluate else None
        reasons = verdict.reasons if verdict else ()
        numbers = [reason for reason in reasons if any(letter.isdigit() for letter in reason)]
        scene.checks.add(
            "quality gate",
            "not passed, for reasons with numbers",
            " ".join(reasons) or "no verdict",
            verdict is not None and not verdict.passed and bool(numbers) and len(numbers) == len(reasons),
        )
        scene.check_told(arn, "rejected", naming=numbers[0] if numbers else "", what="the reasons")
        now = len(registry.versions(scene.found))
        scene.checks.add(
            "model registry", f"{registered} version, as before", f"{now} version{'s'[: now != 1]}", now == registered
        )
        scene.check_unchanged(before)


BAD_MODEL = Drill(weeks=1, parameters={}, run=run)
