"""What a run on SLURM asks for: checked before its first job, and taken back when it ends early."""

import os
import shlex
import subprocess

from stfpm3d.runtime.slurm import Request, check_memory_of_jobs, check_requests

OWN_JOB = os.environ.get("SLURM_JOB_ID")  # of the driver, where it is a job itself; the executor forgets it


def on_slurm(workflow):
    """Whether the run's jobs go to SLURM."""
    return workflow.executor_plugin.name == "slurm"


def check_cluster(workflow):
    """Raise `WorkflowError` where SLURM would refuse jobs of the run, or never start them."""
    from snakemake_executor_plugin_slurm.job_status_query import get_min_job_age
    from snakemake_executor_plugin_slurm.submit_string import get_submit_command
    from snakemake_executor_plugin_slurm.utils import set_gres_string

    executor, settings = workflow.scheduler._executor, workflow.executor_settings

    def request(job):
        partition = executor.get_partition_arg(job)
        params = {
            "run_uuid": "check",
            "slurm_logfile": os.devnull,
            "comment_str": "check",
            "account": next(executor.get_account_arg(job)),
            "partition": partition,
            "workdir": None,
        }
        call = get_submit_command(job, params, settings) + set_gres_string(job)
        return Request(call, "".join(shlex.split(partition)[1:]), job.resources.get("runtime", 0))

    dag = workflow.dag
    submitted = {dag.get_job_group(job) or job for job in dag.needrun_jobs() if not job.is_local}
    try:
        if settings.status_command == "squeue":
            check_memory_of_jobs(get_min_job_age())
        check_requests((job.name, request(job)) for job in submitted)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def take_back(workflow):
    """Cancel what the run still has in SLURM: jobs that were submitted while it ended are unknown to the executor."""
    subprocess.run(["scancel", "--name", workflow.scheduler._executor.run_uuid], capture_output=True, check=False)
