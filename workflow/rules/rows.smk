"""What the config's rows ask for: the files, settings and names of teachers, students, GANs and experiments."""


def experiments(*methods):
    """A wildcard constraint: the names of the experiments of some methods, or a pattern that matches no file."""
    return "|".join(name for name, row in EXPERIMENTS.items() if row["method"] in methods) or "$^"


def settings(row, *without):
    """A config row as params, without the keys that say nothing about the computation."""
    return {key: value for key, value in row.items() if key not in ("name", *without)}


def initial_weights(teacher):
    """The checkpoint that a teacher starts from, as a rule's input; nothing when its weights are random."""
    row = TEACHERS[teacher]
    made = {"random": [], "imagenet": f"results/weights/{row['architecture']}.pth"}
    return made.get(row["weights"], row["weights"])


def atlas_file(teacher):
    """The map that a teacher's atlas is made from, as a rule's input; coordinates need none."""
    return path_unless(TEACHERS[teacher]["atlas"], "none", "coordinates") or []


def atlas_of(teacher):
    """The second input channel of a teacher and its students, as a rule's input; nothing where the scan is alone."""
    return [] if TEACHERS[teacher]["atlas"] == "none" else f"results/teacher/{teacher}/atlas.npy"


def grid_of(teacher):
    """The folder with the scans as a teacher and its students see them, ending in a slash."""
    return f"results/grid/{sampling(TEACHERS[teacher])}"


def grid_of_student(student):
    """The folder of the student's teacher's grid."""
    return grid_of(STUDENTS[student]["teacher"])


def seen_by_teacher(teacher, part):
    """The scans of one part that a teacher sees."""
    return teacher_scans(PARTICIPANTS, part, TEACHERS[teacher]["balance"], STUDY.split.seed)


def student_settings(student):
    """A student's settings as params; without a validation patient no AUROC chooses its epoch, but synthetic lesions."""
    row = settings(STUDENTS[student], "teacher")
    if row["selection"] == "auroc" and not select(PARTICIPANTS, split="val", group="patient"):
        row["selection"] = "synthetic_ap"
    if row["selection"] == "synthetic_ap":
        row["lesion_sign"] = LESION_SIGN[STUDY.cohort.modality]
    return row


def chosen_masks(sub):
    """The real lesion masks that are inserted into copies of a scan, as a rule's input; nothing where lesions are grown."""
    lesions = STUDY.evaluation.synthetic
    if lesions.masks is None:
        return []
    keys = {f"{sub}/{name}": Path(lesions.masks, name) for name in mask_files(lesions.masks)}
    return [str(keys[key]) for key in hash_order(list(keys), lesions.seed)[: lesions.per_scan]]


def graded_experiments():
    """The experiments whose maps are graded and scored: segmentations and the bare mask are neither."""
    return [name for name in EXPERIMENTS if not is_segmented(name)]


def lesion_experiments():
    """The experiments that are measured on synthetic lesions, where there are any."""
    return graded_experiments() if STUDY.evaluation.synthetic.per_scan else []


def probe_tables():
    """The tables of the probes of the shortcut, unless they are switched off."""
    if not STUDY.evaluation.probes:
        return []
    probes = ("removed", "within", "sites")
    found = [f"results/evaluation/{name}/probe_{probe}.tsv" for name in graded_experiments() for probe in probes]
    return ["results/evaluation/probe_histogram.tsv", *found]


def teacher_of(experiment):
    """The teacher that an experiment names, or that its student names."""
    row = EXPERIMENTS[experiment]
    return row["teacher"] if row["method"] == "padim" else STUDENTS[row["student"]]["teacher"]


def teacher_weights(experiment):
    """The weights of an experiment's teacher, as a rule's input."""
    return f"results/teacher/{teacher_of(experiment)}/model.safetensors"


def student_weights(experiment):
    """The weights of an experiment's student, as a rule's input; nothing for a method without one."""
    row = EXPERIMENTS[experiment]
    if row["method"] == "padim":
        return []
    weights = {"trained": "model", "initial": "initial"}[row["weights"]]
    return f"results/student/{row['student']}/{weights}.safetensors"


def gaussian_scans(experiment):
    """The healthy scans that an experiment's Gaussian is fitted on: PaDiM's on the training part, a residual's on
    validation scans, since the student has matched the training scans; nothing for an experiment without one."""
    row = EXPERIMENTS[experiment]
    if row["method"] == "padim":
        return select(PARTICIPANTS, split="train", group="healthy")
    return select(PARTICIPANTS, split="val", group="healthy") if row["residual"] == "gaussian" else []


def gaussian_of(experiment):
    """An experiment's Gaussian of features, as a rule's input."""
    return f"results/gaussian/{experiment}.safetensors" if gaussian_scans(experiment) else []


def grid_of_gan(gan):
    """The folder with the scans in a GAN's size, ending in a slash."""
    return f"results/grid/size-{GANS[gan]['size']}/"


def grid_of_experiment(experiment):
    """The folder with the scans as an experiment's networks see them, ending in a slash."""
    row = EXPERIMENTS[experiment]
    return grid_of_gan(row["gan"]) if row["method"] == "fanogan" else grid_of(teacher_of(experiment))


def arrays_of(part):
    """An input function: the scans of one part on the grid of an experiment's networks."""
    return lambda w: scans(f"{grid_of_experiment(w.experiment)}{{sub}}.npy", split=part)


def map_settings(experiment):
    """How the blocks' maps become an experiment's map, as params."""
    row = {"smoothing_mm": 0.0, **EXPERIMENTS[experiment]}
    return {key: row[key] for key in ("combine", "blocks", "smoothing_mm")}


def source_maps(part):
    """The maps of one part that a segmentation or post-processing reads, those of the experiment which it names."""
    return lambda w: scans(f"results/maps/{EXPERIMENTS[w.experiment]['experiment']}/{part}/{MAP_NAME}", split=part)


def top_fraction(experiment):
    """The share of voxels that a segmentation takes, as a param; None where k-means decides."""
    row = EXPERIMENTS[experiment]
    return row["fraction"] if row["by"] == "top_fraction" else None


def is_segmented(experiment):
    """Whether an experiment's maps are segmentations, 0 and 1 alone: no threshold is fitted to them."""
    return EXPERIMENTS[experiment]["method"] in ("segmentation", "mask")


def protocols(experiment):
    """The protocols that measure an experiment; inside the brain the mask is constant, which says nothing."""
    return ["paper"] if EXPERIMENTS[experiment]["method"] == "mask" else ["strict", "paper"]


IN_BRAIN = [name for name in EXPERIMENTS if "strict" in protocols(name)]  # the experiments that it measures
COMPARED = [
    name for name in IN_BRAIN if EXPERIMENTS[name]["method"] != "postprocessed"
]  # an ablation is described alone


def has_blocks(experiment):
    """Whether an experiment's method makes a map from the blocks of networks."""
    return EXPERIMENTS[experiment]["method"] in ("stfpm", "padim")


def evaluated_teachers():
    """The teachers whose students' maps are measured, in the config's order."""
    used = {teacher_of(name) for name in EXPERIMENTS if has_blocks(name)}
    return [teacher for teacher in TEACHERS if teacher in used]


def description(experiment):
    """How an experiment's maps come about, for the report (see `write_report`)."""
    row = EXPERIMENTS[experiment]
    if row["method"] == "segmentation":
        return {**description(row["experiment"]), "segmented_by": row["by"]}
    if row["method"] == "postprocessed":
        return {**description(row["experiment"]), "processed_by": processing(row)}
    teacher = TEACHERS[teacher_of(experiment)] if has_blocks(experiment) else None
    weights = teacher and teacher["weights"]
    return {
        "method": row["method"],
        "architecture": teacher and teacher["architecture"],
        "weights": weights if weights in (None, "random", "imagenet") else "file",
        "patch_learning": teacher is not None and teacher["epochs"] > 0,
        "untrained": row.get("weights") == "initial",
        "processed_by": None,
        "segmented_by": None,
    }


def processing(row):
    """The step of a post-processed experiment's row in words, such as `gaussian 4 mm`."""
    unit = "ml" if row["by"] == "min_component" else "mm"
    amount = "" if row["amount"] is None else f" {row['amount']:g} {unit}"
    return row["by"].replace("_", " ") + amount


def initial_counterparts():
    """For each experiment with a trained student, the one that differs only in the student's initial weights."""
    rows = {name: settings(row) for name, row in EXPERIMENTS.items() if row["method"] == "stfpm"}
    initial = {name: {**row, "weights": "trained"} for name, row in rows.items() if row["weights"] == "initial"}
    return {
        trained: untrained
        for trained, row in rows.items()
        for untrained, other in initial.items()
        if row["weights"] == "trained" and row == other
    }


if IS_FIRST_READING:
    for name, row in STUDENTS.items():
        if student_settings(name)["selection"] != row["selection"]:
            logger.warning(f"student {name!r}: no validation patient, so synthetic lesions choose its epoch.")
