"""The stages that depend on the split of the cohort; a cross-validation has them once a fold (folds.smk)."""


include: "cohort.smk"
include: "standardize.smk"
include: "grid.smk"
include: "teacher.smk"
include: "student.smk"
include: "fanogan.smk"
include: "maps.smk"
include: "evaluate.smk"
include: "synthetic.smk"
include: "figures.smk"
include: "report.smk"
