"""Who does the work of a sweep: this process, processes of this machine, or a cluster's queue.

A launcher has `launch(jobs)`: it calls each job once, wherever it likes, and says of each why it failed, or None.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import attrs

from gptlab.experiment.errors import ExperimentError
from gptlab.experiment.logger import one_line
from gptlab.types.validators import at_least

Job = Callable[[], object]


@runtime_checkable
class Launcher(Protocol):
    """Runs jobs. A complete one:

    >>> class Lazy:
    ...     def launch(self, jobs: Sequence[Job]) -> list[str | None]:
    ...         return ["not today" for _ in jobs]
    """

    def launch(self, jobs: Sequence[Job]) -> list[str | None]:
        """Call each job once; of each the reason for its failure, or None."""


@attrs.frozen
class InProcess:
    """One after another, in this process; what is wrong with one job does not keep the next from running."""

    def launch(self, jobs: Sequence[Job]) -> list[str | None]:
        """Call each."""
        return [_failure(job) for job in jobs]


@attrs.frozen(kw_only=True)
class LocalProcesses:
    """Each in a process of its own, so many at once; one that is killed is a failure of its job only.

    Attributes:
        processes: how many at once.
        threads: of torch and BLAS in each.
    """

    processes: int = attrs.field(default=2, validator=at_least(1, error=ExperimentError))
    threads: int = attrs.field(default=1, validator=at_least(1, error=ExperimentError))

    def launch(self, jobs: Sequence[Job]) -> list[str | None]:
        """Start them in order, each as soon as there is room."""
        context = multiprocessing.get_context("spawn")
        results: list[str | None] = [None] * len(jobs)
        waiting, working = list(enumerate(jobs)), dict[int, tuple[Any, Any]]()
        try:
            while waiting or working:
                while waiting and len(working) < self.processes:
                    number, job = waiting.pop(0)
                    ours, theirs = context.Pipe(duplex=False)
                    process = context.Process(target=_work, args=(job, theirs, self.threads), daemon=True)
                    process.start()
                    theirs.close()
                    working[number] = (process, ours)
                wait([process.sentinel for process, _ in working.values()])
                for number, (process, ours) in list(working.items()):
                    if process.exitcode is not None:
                        results[number] = _told(ours, process.exitcode)
                        ours.close()
                        del working[number]
        finally:
            for process, _ in working.values():
                process.terminate()
                process.join()
        return results


@attrs.frozen(kw_only=True)
class Submitit:
    """Each as a job of a cluster's queue (SLURM), or of this machine with cluster="local" or "debug".

    Attributes:
        folder: where submitit keeps its files; every machine must see it.
        cluster: submitit's name of it; the one that is found when None.
        parameters: of `submitit.AutoExecutor.update_parameters`: timeout_min, slurm_partition, gpus_per_node.
    """

    folder: Path = Path("experiments/.submitit")
    cluster: str | None = None
    parameters: Mapping[str, Any] = attrs.field(factory=dict)

    def launch(self, jobs: Sequence[Job]) -> list[str | None]:
        """Submit all, and wait for all."""
        try:
            import submitit  # noqa: PLC0415 - an extra, which nobody else needs
        except ImportError as error:
            raise ExperimentError(
                "Submitit", got="no submitit", wanted="the extra `slurm`", do="pip install 'gptlab[slurm]'"
            ) from error
        executor = submitit.AutoExecutor(folder=self.folder, cluster=self.cluster)
        executor.update_parameters(**self.parameters)
        submitted = [executor.submit(_Elsewhere.of(job)) for job in jobs]
        return [_failure(each.result) for each in submitted]


@attrs.frozen(kw_only=True)
class _Elsewhere:
    """A job for a fresh process of another machine, which must find the same modules before it can read the job.

    The bytes go from this process to its own jobs, by the shared folder, and nowhere else.
    """

    path: tuple[str, ...]
    job: bytes

    @classmethod
    def of(cls, job: Job) -> "_Elsewhere":
        # comes with submitit; takes recipes of a script, too
        import cloudpickle  # type: ignore[import-untyped]  # noqa: PLC0415

        here = (str(Path(part).absolute()) for part in sys.path)
        return cls(path=tuple(here), job=cloudpickle.dumps(job))

    def __call__(self) -> None:
        sys.path[:] = [*self.path, *(part for part in sys.path if part not in self.path)]
        pickle.loads(self.job)()


def _told(pipe: Any, exit_code: int) -> str | None:
    """What a process said of its job before it ended; one that was killed said nothing."""
    try:
        said: str | None = pipe.recv()
        return said
    except EOFError:
        return f"its process ended with code {exit_code}"


def _failure(job: Job) -> str | None:
    """Why a job failed, in a line."""
    try:
        job()
    except Exception as error:  # noqa: BLE001 - the sweep goes on, and ends with all failures told
        return one_line(error)
    return None


def _work(job: Job, told: Any, threads: int) -> None:
    """What each process does."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import torch  # noqa: PLC0415 - `list` and `--help` need not wait for it

    torch.set_num_threads(threads)
    _end_with_parent()
    try:
        told.send(_failure(job))
    except KeyboardInterrupt as stop:
        sys.exit(f"Stopped. {stop}")


def _end_with_parent() -> None:
    """Stop as by Ctrl-C, saving a checkpoint, when the sweep's own process is killed: nobody would wait for us."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()
