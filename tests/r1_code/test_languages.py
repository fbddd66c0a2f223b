"""Names, commands, tools and sources of the languages, without running a program."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from r1_code import tools
from r1_code.java_class import java_class
from r1_code.language import source_bytes
from r1_code.languages import BY_NAME, LANGUAGES, missing_languages


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        *[("py", "python"), ("python3", "python"), ("js", "javascript"), ("node", "javascript")],
        *[("c++", "cpp"), ("c++17", "cpp"), ("cpp17", "cpp"), ("c++20", "cpp20")],
        *[("rs", "rust"), ("golang", "go"), ("sh", "bash"), ("c", "c"), ("java", "java")],
    ],
)
def test_a_language_is_known_by_all_its_names(alias, name):
    assert BY_NAME[alias].name == name


def test_no_name_means_two_languages():
    assert len(BY_NAME) == sum(len(language.names) for language in LANGUAGES)


@pytest.fixture
def no_tools(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    caches = (tools.find_tool, tools.tool_paths, tools.identity)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_a_missing_tool_is_said_with_what_brings_it(language, no_tools):
    missing = missing_languages()
    if language.warm:
        assert language.name not in missing
        return
    tool, package = next(iter(language.needs.items()))
    for name in language.names:
        assert missing[name] == f"it needs {tool}, which is not installed; {package}"
    assert "install" in package


def test_a_tool_is_found_behind_links():
    assert tools.find_tool("bash") == os.path.realpath(shutil.which("bash"))
    assert tools.find_tool("no-such-tool") == ""


@pytest.mark.skipif(not shutil.which("rustup"), reason="rustup is not installed")
def test_a_proxy_of_rustup_is_seen_through():
    if subprocess.run(["rustc", "--version"], capture_output=True).returncode:
        assert tools.find_tool("rustc") == ""
        pytest.skip("rustup has no toolchain for this user")
    compiler = tools.find_tool("rustc")
    assert "/toolchains/" in compiler
    [home] = tools.tool_paths("rustc")
    assert compiler == f"{home}/bin/rustc"


@pytest.mark.skipif(not shutil.which("javac"), reason="javac is not installed")
def test_the_settings_of_java_are_readable_where_links_point_to():
    home, *linked = tools.tool_paths("javac")
    assert tools.find_tool("javac") == f"{home}/bin/javac"
    for path in linked:
        assert not path.startswith(home)
        assert Path(path).is_dir()


@pytest.mark.parametrize("below", ["bin/tool-x", ".local/bin/tool-x"])
def test_a_home_is_not_made_readable_for_a_tool_in_it(below, tmp_path, monkeypatch):
    tool = tmp_path / below
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    try:
        assert tools.tool_paths("tool-x") == (str(tool),)
    finally:
        tools.find_tool.cache_clear()
        tools.tool_paths.cache_clear()


def test_another_version_of_a_tool_is_another_tool(tmp_path, monkeypatch):
    compiler = tmp_path / "bin" / "new-compiler"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(compiler.parent))
    before = tools.identity("new-compiler")
    compiler.write_text("#!/bin/sh\nexit 1\n")
    tools.identity.cache_clear()
    assert tools.identity("new-compiler") != before


def test_memory_and_names_are_filled_in():
    java = BY_NAME["java"]
    source = "package a.b;\npublic class Tree { public static void main(String[] a) {} }"
    assert java.source_name(source) == "Tree.java"
    assert java.command(java.compile, source)[-1] == "Tree.java"
    command = java.command(java.run, source, 300)
    assert "-Xmx300m" in command
    assert command[-1] == "a.b.Tree"


@pytest.mark.parametrize(
    ("source", "file", "start"),
    [
        ("public class A { }", "A", "A"),
        ("import x;\n  public final class B2 {", "B2", "B2"),
        ("class Solution {}\npublic class Main { void main(", "Main", "Main"),
        ("class Node {}\nclass Run {\n public static void main(String[] a) {}}", "Main", "Run"),
        ("class Main { static class In {}\n public static void main(String a) {}}", "Main", "Main"),
        ("", "Main", "Main"),
        ("// public class Not\nclass C { static void main (", "Main", "C"),
        ("package p.q;\nclass D { void main(", "Main", "p.q.D"),
        (f"public class {'x' * 500} {{", "Main", "Main"),
        ("public sealed abstract class $A_1 {", "$A_1", "$A_1"),
    ],
)
def test_the_class_of_a_java_source(source, file, start):
    assert java_class(source) == (file, start)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", ["\n", " ", "public ", "public\n", "void ", "class\n", "package"])
def test_no_source_makes_looking_for_a_class_slow(piece):
    assert java_class(piece * 200_000) == ("Main", "Main")


def test_stacks_are_as_deep_as_memory_allows_unless_threads_need_them_too():
    cpp = BY_NAME["cpp"]
    assert cpp.stack("int main() {}", 128) == 128
    assert cpp.stack("int main() {}", 4096) == 256
    assert cpp.stack("#include <thread>\nstd::thread t;", 512) == 8
    assert BY_NAME["py"].stack("import threading", 512) == 16


@pytest.mark.parametrize(
    ("source", "data"),
    [
        ("é", "é".encode()),
        ("a\0b", b"a\0b"),
        (b"\xe9".decode(errors="surrogateescape"), b"\xe9"),
        ("\ud83d\ude00", "😀".encode()),
        ("x\ud83dy", "x\ufffdy".encode()),
    ],
)
def test_any_text_becomes_a_source_file(source, data):
    assert source_bytes(source) == data
