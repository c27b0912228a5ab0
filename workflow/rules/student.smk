"""The student: it matches the teacher's features on healthy scans alone (paper, 3.2)."""


rule student:
    """Train a student on healthy training scans (network grid); validation scans choose its epoch."""
    input:
        train=lambda w: PLAN.scans(f"{PLAN.grid_of_student(w.student)}{{sub}}.npy", split="train", group="healthy"),
        val=lambda w: [f"{PLAN.grid_of_student(w.student)}{sub}.npy" for sub in PLAN.validation_scans(w.student)],
        brain_mask=lambda w: f"{PLAN.grid_of_student(w.student)}mask.npy",
        grid=lambda w: f"{PLAN.grid_of_student(w.student)}grid.json",
        teacher=lambda w: f"results/teacher/{PLAN.students[w.student].teacher}/model.safetensors",
        train_supports=lambda w: (
            PLAN.scans(SUPPORT, split="train", group="healthy") if PLAN.sees_acquisitions(w.student) else []
        ),
        landmarks=lambda w: "results/standardize/landmarks.tsv" if PLAN.sees_acquisitions(w.student) else [],
        atlas=lambda w: PLAN.atlas_of(PLAN.students[w.student].teacher),
    output:
        model="results/student/{student}/model.safetensors",
        initial="results/student/{student}/initial.safetensors",
        epochs="results/student/{student}/epochs.tsv",
    log:
        "logs/student/{student}.log",
    benchmark:
        "benchmarks/student/{student}.tsv"
    conda:
        "../../envs/learning.yaml"
    threads: TRAINING_THREADS
    resources:
        gpu=GPUS,
        nodes=1,
        mem_mb=scaled(16000),
        runtime=24 * 60,  # not scaled: the next attempt goes on from the last checkpoint
    params:
        settings=lambda w: PLAN.student_settings(w.student),
        compute=COMPUTE,
        val_is_patient=lambda w: [SCANS.group[sub] == "patient" for sub in PLAN.validation_scans(w.student)],
        code=code("student"),
        env=environment("learning"),
    script:
        "../scripts/student.py"
