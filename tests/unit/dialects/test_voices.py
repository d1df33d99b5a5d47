"""Voices of one vendor by those of another."""

import pytest

from proxyapi.dialects.voices import google_voice, openai_voice


@pytest.mark.parametrize(("asked", "heard"), [("Kore", "alloy"), ("ALGENIB", "onyx"), ("ash", "ash"), ("", "alloy")])
def test_a_voice_of_googles_has_one_of_openais(asked, heard):
    assert openai_voice(asked) == heard


@pytest.mark.parametrize(("asked", "heard"), [("alloy", "Kore"), ("Puck", "Puck"), ("", "")])
def test_a_voice_of_openais_has_one_of_googles(asked, heard):
    assert google_voice(asked) == heard


def test_a_voice_that_neither_has_is_passed_on():
    assert openai_voice("voice_of_my_own") == google_voice("voice_of_my_own") == "voice_of_my_own"
