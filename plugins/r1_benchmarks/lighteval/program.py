"""Run by the Python that has LightEval and not r1: answers requests, a line of JSON each.

    {"task": task}                                 whether there is such a task
    {"rows": task, "offline": bool}                the rows of its own data set; from its cache
    {"docs": task, "rows": [...]}                  what it asks and scores by, and of which row
    {"score": task, "doc": {...}, "text": text}    its metric on one completion
    {"score": task, "question": ..., "gold": ..., "text": text}   the same for a problem of ours

Tasks, prompts, removal of reasoning, extraction and metrics are LightEval's own code. A task is
scored by the first of its metrics that reads generated text and runs nothing that a model wrote.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import random
import sys
from dataclasses import asdict

SEED = 1234  # what LightEval's pipeline seeds `random` with before it makes prompts
LETTERS = "ABCD"
KEPT = ("query", "choices", "gold_index", "instruction", "specific")

SYNONYMS = {
    "problem": ("Problem", "question", "prompt"),
    "question": ("problem", "prompt"),
    "answer": ("Answer", "expected_answer"),
    "solution": ("Solution", "reference_solution"),
}
"""What columns of local copies are called where LightEval's own source has another name."""


class Refused(Exception):
    """The request asks for what is not to be had; the text is for the user."""


class Task:
    def __init__(self, name):
        from lighteval.tasks.registry import Registry

        try:
            found = Registry(tasks=f"{name}|0").load_tasks()
        except ValueError as error:
            raise Refused(
                f"LightEval has no task {name!r}; name one it has, like lighteval:math_500"
            ) from error
        if len(found) != 1:
            raise Refused(f"LightEval has several tasks {name!r}; say one of: {', '.join(found)}")
        self.name, [self.task] = name, found.values()
        self.metric, self.extracted = self._metric(), []
        self.letters = self._listen()

    def _metric(self):
        from lighteval.metrics.dynamic_metrics import MultilingualExtractiveMatchMetric
        from lighteval.metrics.metrics_sample import AvgAtN, ExactMatches, PassAtK

        known = (PassAtK, AvgAtN, MultilingualExtractiveMatchMetric, ExactMatches)
        for metric in self.task.metrics:
            if metric.category == "GENERATIVE" and isinstance(metric.sample_level_fn, known):
                metric = copy.deepcopy(metric)
                metric.sample_level_fn.n = metric.sample_level_fn.k = 1  # one text at a time
                return metric
        names = ", ".join(str(metric.metric_name) for metric in self.task.metrics)
        raise Refused(
            f"LightEval scores task {self.name!r} by {names}, which wants log-probabilities, runs "
            "code or asks another model; none of these is done here"
        )

    def _listen(self):
        """Keep what the metric extracts, which LightEval drops; is it the letter of a choice?"""
        from lighteval.metrics.utils.extractive_match_utils import IndicesExtractionConfig

        metric = self.metric.sample_level_fn
        name = "compute_score" if hasattr(metric, "compute_score") else "compute"
        compute = getattr(metric, name)

        def listening(doc, model_response, **more):
            score = compute(doc=doc, model_response=model_response, **more)
            self.extracted = list((doc.specific or {}).get("extracted_predictions", []))
            return score

        setattr(metric, name, listening)
        targets = getattr(compute.__self__, "gold_extraction_target", ())
        return any(isinstance(target, IndicesExtractionConfig) for target in targets)

    def rows(self, offline):
        import datasets

        datasets.config.HF_HUB_OFFLINE = offline  # or it would try for minutes
        splits = self.task.download_dataset_worker(self.task)
        return [dict(row) for split in self.task.evaluation_split for row in splits[split]]

    def docs(self, rows):
        from lighteval.tasks.prompt_manager import PromptManager

        split, *_ = self.task.evaluation_split
        self.task.evaluation_split, self.task._docs = [split], None
        self.task.dataset = {split: [_named(row) for row in rows]}
        random.seed(SEED)
        try:
            docs = self.task.eval_docs()
        except KeyError as error:
            raise Refused(
                f"LightEval's task {self.name!r} wants a column {error}; the data has "
                f"{', '.join(rows[0]) if rows else 'no rows'}"
            ) from error
        prompts, made = PromptManager(), []
        for doc in docs:
            doc.choices = [str(choice) for choice in doc.choices]
            [message] = prompts.prepare_prompt_api(doc)
            kept = {name: asdict(doc)[name] for name in KEPT}
            asked = {"asked": message["content"], "solution": doc.get_golds()[0], "doc": kept}
            made.append({"row": int(doc.id), **asked})
        return made

    def doc(self, question, gold):
        """A problem of ours as this task would have it; a worked solution ends in a box."""
        from lighteval.tasks.requests import Doc

        if self.letters:
            if gold not in tuple(LETTERS):
                raise Refused(f"task {self.name!r} wants a letter of {LETTERS}, not {gold!r}")
            return Doc(query=question, choices=list(LETTERS), gold_index=LETTERS.index(gold))
        worked = gold if "\\boxed" in gold else f"$\\boxed{{{gold}}}$"
        line = {"answer": gold, "solution": worked, "question": question, "problem": question}
        return self.task.formatter(line, self.name)

    def stopped(self, text):
        """The text as far as LightEval would have had it sampled."""
        for stop in self.task.stop_sequence or ():
            text = text.partition(stop)[0]
        return text

    def score(self, doc, text):
        """1.0 or 0.0 by the task's metric, and what it took for the answer, likeliest first."""
        from lighteval.metrics import apply_metric
        from lighteval.models.model_output import ModelResponse
        from lighteval.utils.utils import remove_reasoning_tags

        self.extracted = []
        said = remove_reasoning_tags(text, [("<think>", "</think>")])
        response = ModelResponse(text=[text], text_post_processed=[said])
        [scores] = apply_metric([response], [doc], [self.metric])
        [score] = scores.values()
        return {"score": float(score), "extracted": self.extracted}


def pass_over_what_fails():
    """LightEval imports the modules of all tasks to find one, and some download when imported."""
    from lighteval.tasks.registry import Registry

    def lenient(load):
        def one_by_one(places, *more):
            found = {}
            for place in places:
                try:
                    found |= load([place], *more)
                except Exception as error:
                    print(f"passed over {place.name}: {error}", file=sys.stderr)
            return found

        return staticmethod(one_by_one)

    Registry._load_from_files = lenient(Registry._load_from_files)
    Registry._load_from_subdirs = lenient(Registry._load_from_subdirs)


def _named(row):
    """The row, with the names that LightEval knows for what it calls otherwise."""
    known = dict(row)
    for wanted, others in SYNONYMS.items():
        present = [name for name in (wanted, *others) if name in row]
        if present:
            known[wanted] = row[present[0]]
    return known


def answer(request, task_named):
    from lighteval.tasks.requests import Doc

    if "task" in request:
        return bool(task_named(request["task"]))
    if "docs" in request:
        return task_named(request["docs"]).docs(request["rows"])
    if "rows" in request:
        return task_named(request["rows"]).rows(request["offline"])
    task = task_named(request["score"])
    given = request.get("doc")
    if given:
        return task.score(Doc(**given), task.stopped(request["text"]))
    return task.score(task.doc(request["question"], request["gold"]), request["text"])


def main():
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever LightEval prints is no reply
    task_named = functools.cache(Task)
    pass_over_what_fails()
    for line in sys.stdin:
        try:
            reply = {"reply": answer(json.loads(line), task_named)}
        except Refused as error:
            reply = {"refused": str(error)}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        print(json.dumps(reply, default=str), file=replies, flush=True)


if __name__ == "__main__":
    main()
