"""robots.txt, read as RFC 9309 says."""

import pytest

from garfield_vae.data.download.robots import Robots


def allows(text: str, path: str) -> bool:
    return Robots(text, "garfield-vae").allows(path)


def test_no_file_allows_everything():
    assert allows("", "/comics/ga/1985/ga850312.gif")


def test_disallow_everything():
    assert not allows("User-agent: *\nDisallow: /", "/comics/")


def test_an_empty_disallow_forbids_nothing():
    assert allows("User-agent: *\nDisallow:", "/comics/")


def test_the_group_with_our_name_replaces_the_group_for_all():
    text = "User-agent: *\nDisallow: /\n\nUser-agent: Garfield-VAE/2\nDisallow: /private"
    assert allows(text, "/comics/")
    assert not allows(text, "/private/x")


def test_another_robots_group_says_nothing_to_us():
    assert allows("User-agent: googlebot\nDisallow: /", "/comics/")


def test_one_group_may_name_several_robots():
    assert not allows("User-agent: googlebot\nUser-agent: *\nDisallow: /", "/comics/")


def test_groups_for_the_same_robot_are_one():
    text = (
        "User-agent: *\nDisallow: /a\n\nUser-agent: x\nDisallow: /b\n\nUser-agent: *\nDisallow: /c"
    )
    assert [allows(text, path) for path in ("/a", "/b", "/c")] == [False, True, False]


def test_the_longest_rule_wins_whatever_its_place():
    text = "User-agent: *\nDisallow: /\nAllow: /garfield/\nDisallow: /garfield/private/"
    assert allows(text, "/garfield/1985/03/12")
    assert not allows(text, "/garfield/private/1")


def test_of_two_equally_long_rules_allow_wins():
    assert allows("User-agent: *\nDisallow: /ab\nAllow: /ab", "/abc")


@pytest.mark.parametrize(
    ("rule", "path", "forbidden"),
    [
        ("/*.gif", "/comics/a.gif?x", True),
        ("/*.gif$", "/comics/a.gif", True),
        ("/*.gif$", "/comics/a.gif?x", False),
        ("/comics/*/1985/", "/comics/ga/1985/ga850312.gif", True),
        ("/comics/*/1985/", "/comics/ga/1986/ga860312.gif", False),
        ("/*/b/*/d$", "/a/b/c/d", True),
        ("/*d/d$", "/d", False),
        ("/comics$", "/comics", True),
        ("/comics$", "/comics/", False),
        ("/c%6Fmics", "/comics", True),
        ("/garfield/?page=", "/garfield/?page=2", True),
    ],
)
def test_wildcards_and_the_end_of_the_path(rule, path, forbidden):
    assert allows(f"User-agent: *\nDisallow: {rule}", path) is not forbidden


def test_a_hostile_rule_takes_no_time():
    assert allows("User-agent: *\nDisallow: /" + "*a" * 5000 + "$", "/" + "a" * 4000)


def test_comments_and_a_byte_order_mark_are_skipped():
    assert not allows("\ufeffUser-agent: * # all\nDisallow: /x # not this", "/x")


def test_the_crawl_delay_is_of_our_group():
    text = "User-agent: *\nCrawl-delay: 7.5\n\nUser-agent: other\nCrawl-delay: 99"
    assert Robots(text, "garfield-vae").crawl_delay == 7.5


@pytest.mark.parametrize("value", ["soon", "-3", "nan", ""])
def test_a_crawl_delay_without_sense_is_none(value):
    assert Robots(f"User-agent: *\nCrawl-delay: {value}", "garfield-vae").crawl_delay == 0
