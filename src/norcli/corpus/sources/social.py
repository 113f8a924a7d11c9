"""Tweets and Reddit posts as their programming interfaces and dumps give them.

Only the post is kept: its text, id, time, language and address. Users, counts and pictures are left
out, because personal data that nobody needs is better not copied. Retweets and deleted posts come
without text and with the reason, so that the funnel counts them.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

from norcli.corpus.sources.fields import Record, flatten, iso_date, look_up
from norcli.corpus.sources.layouts import OTHERS, Adapted, Layout, provenance

_GONE = frozenset({"[deleted]", "[removed]", "[deleted by user]", "[ Removed by Reddit ]"})


def adapt_tweet(record: Record) -> Iterator[Adapted]:
    """Make documents of a tweet of version 1.1 or 2, or of a page of answers of version 2.

    Fields: https://developer.x.com/en/docs/x-api/migrate/data-formats/standard-v1-1-to-v2. The long
    form of a text is in `full_text`, `extended_tweet.full_text` or `note_tweet.text`.

    Raises:
        ValueError: There is no text.
    """
    data = record.get("data")
    if isinstance(data, (list, dict)):
        for tweet in data if isinstance(data, list) else [data]:
            if not isinstance(tweet, dict):
                raise ValueError("an answer that holds something other than tweets")
            yield from adapt_tweet(tweet)
        return
    long = look_up(record, "note_tweet|extended_tweet")
    holder = long if isinstance(long, dict) else record
    text = look_up(record, "note_tweet.text|extended_tweet.full_text|full_text|text")
    number = look_up(record, "id_str|id")
    if not isinstance(text, str) or number is None:
        raise ValueError("tweet without text or id")
    fields = flatten({
        "id": f"tweet:{number}",
        "url": f"https://twitter.com/i/web/status/{number}",
        "date": iso_date(record.get("created_at")),
        "lang": record.get("lang"),
    })  # fmt: skip
    if _is_retweet(record, text):
        yield Adapted("", fields, "retweet")
        return
    yield Adapted(_readable(text, look_up(holder, "entities") or record.get("entities")), fields)


def _is_retweet(record: Record, text: str) -> bool:
    if isinstance(record.get("retweeted_status"), dict) or text.startswith("RT @"):
        return True
    references = record.get("referenced_tweets")
    return isinstance(references, list) and any(
        isinstance(reference, dict) and reference.get("type") == "retweeted"
        for reference in references
    )


def _readable(text: str, entities: Any) -> str:
    """Undo character references, write links out, and take links to the tweet's own pictures off.

    Entities name each shortened link; their positions are not used, since they count in another
    unit in every version.
    """
    if isinstance(entities, dict):
        pictures = entities.get("media")
        for picture in pictures if isinstance(pictures, list) else []:
            if isinstance(picture, dict) and isinstance(picture.get("url"), str):
                text = text.replace(picture["url"], "")
        links = entities.get("urls")
        for link in links if isinstance(links, list) else []:
            if not isinstance(link, dict) or not isinstance(link.get("url"), str):
                continue
            # Version 2 lists pictures among the links.
            full = "" if link.get("media_key") else link.get("expanded_url")
            if isinstance(full, str) and link["url"]:
                text = text.replace(link["url"], full)
    return html.unescape(text).strip()


TWEETS_V1 = Layout(
    name="tweets",
    needs=("id_str", "created_at", "full_text|text", "user|entities"),
    adapt=adapt_tweet,
    provenance=provenance("Twitter", OTHERS, None, copyrighted=True),
)
TWEETS_V2 = Layout(
    name="tweets",
    needs=("id", "text", "edit_history_tweet_ids|public_metrics|author_id"),
    adapt=adapt_tweet,
    provenance=TWEETS_V1.provenance,
)
TWEET_PAGES = Layout(
    name="tweets",
    needs=("data", "meta.result_count|includes|meta.newest_id"),
    adapt=adapt_tweet,
    provenance=TWEETS_V1.provenance,
)


def adapt_reddit(record: Record) -> Iterator[Adapted]:
    """Make a document of a comment, or of a submission with its title.

    Fields: Baumgartner et al. 2020, The Pushshift Reddit Dataset (arXiv:2001.08435), tables 1 and
    2. A submission that only links elsewhere has an empty selftext; its title is its text.

    Raises:
        ValueError: It is neither.
    """
    is_comment = isinstance(record.get("body"), str)
    text = record.get("body") if is_comment else record.get("selftext")
    title = None if is_comment else record.get("title")
    if not isinstance(text, str) or not (is_comment or isinstance(title, str)):
        raise ValueError("neither a comment (body) nor a submission (title, selftext)")
    path = record.get("permalink")
    number = record.get("id")
    fields = flatten({
        "id": f"reddit:{'t1' if is_comment else 't3'}_{number}" if number is not None else None,
        "url": f"https://www.reddit.com{path}" if isinstance(path, str) else None,
        "date": iso_date(record.get("created_utc")),
        "subreddit": record.get("subreddit"),
        "parent_id": record.get("parent_id"),
        "title": html.unescape(title) if isinstance(title, str) else None,
    })  # fmt: skip
    if text.strip() in _GONE:
        fields.pop("title", None)
        yield Adapted("", fields, "deleted")
        return
    pieces = [title, text] if isinstance(title, str) else [text]
    yield Adapted("\n\n".join(html.unescape(p).strip() for p in pieces if p.strip()), fields)


REDDIT_COMMENTS = Layout(
    name="reddit",
    needs=("body", "subreddit", "link_id|parent_id"),
    adapt=adapt_reddit,
    provenance=provenance("Reddit", OTHERS, None, copyrighted=True),
)
REDDIT_SUBMISSIONS = Layout(
    name="reddit",
    needs=("title", "selftext", "subreddit"),
    adapt=adapt_reddit,
    provenance=REDDIT_COMMENTS.provenance,
)
