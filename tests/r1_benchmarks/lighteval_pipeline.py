"""LightEval's own pipeline on given rows and completions, run by the Python of its environment.

Reads `{"program", "task", "rows", "completions"}` on stdin; the results are the last line, as JSON.
"""

import json
import runpy
import sys
import tempfile
from types import SimpleNamespace

from lighteval.logging.evaluation_tracker import EvaluationTracker
from lighteval.models.abstract_model import LightevalModel, ModelConfig
from lighteval.models.model_output import ModelResponse
from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters
from lighteval.tasks.lighteval_task import LightevalTask

given = json.loads(sys.stdin.read())
runpy.run_path(given["program"])["pass_over_what_fails"]()  # tasks that download when imported
LightevalTask.download_dataset_worker = staticmethod(
    lambda task: {split: [dict(row) for row in given["rows"]] for split in task.evaluation_split}
)


class Stored(LightevalModel):
    """A model whose answers are known."""

    tokenizer = add_special_tokens = None
    max_length = 2**20

    def __init__(self):
        self.config = ModelConfig(model_name="stored")
        self._cache = SimpleNamespace(_init_registry=lambda registry: None)

    def greedy_until(self, docs):
        return [ModelResponse(text=given["completions"][int(doc.id)]) for doc in docs]

    def loglikelihood(self, docs):
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


samples = len(given["completions"][0])
pipeline = Pipeline(
    tasks=f"{given['task']}@k=1@n={samples}|0",
    pipeline_parameters=PipelineParameters(launcher_type=ParallelismManager.CUSTOM),
    evaluation_tracker=EvaluationTracker(output_dir=tempfile.mkdtemp(), save_details=False),
    model=Stored(),
)
pipeline.evaluate()
print(json.dumps(pipeline.get_results()["results"]))
