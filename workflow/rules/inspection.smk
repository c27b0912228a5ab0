"""What is looked at once before a run: not again by its jobs, nor in each fold, which read the other rules again."""

from stfpm3d.maps.tables import remove_false_tables
from stfpm3d.study.reading import reading

BEFORE_A_RUN = {"is_said_before": True}  # by which workflow/plan.py knows what to pass on

if workflow.is_main_process:
    for sentence in remove_false_tables(Path("results")):
        logger.warning(sentence)
    GIVEN = given_scans(STUDY, COHORT)
    if len(GIVEN):
        from stfpm3d.imaging.headers import check_headers  # jobs on a cluster need not import nibabel

        try:
            check_files(GIVEN)
            check_headers(GIVEN)
        except InputError as error:
            raise WorkflowError(str(error)) from None
    if STUDY.cohort.participants != "demo":
        for sentence in reading(STUDY, COHORT):
            logger.info(sentence, extra=BEFORE_A_RUN)
        EPOCHS = {f"student {name}": row.epochs for name, row in PLAN.students.items()}
        if EPOCHS:
            told = ", ".join(f"{name} {epochs}" for name, epochs in EPOCHS.items())
            logger.info(f"Epochs, at most: {told}.", extra=BEFORE_A_RUN | {"epochs": EPOCHS})
    for remark in [*data_set_remarks(STUDY), *PLAN.remarks()]:
        logger.warning(remark, extra=BEFORE_A_RUN)
