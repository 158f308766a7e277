"""The guards and how to remove each: (what it guards, file, text, replacement, tests that must notice).

A replacement keeps the program running and takes exactly the guard away.
"""

# ruff: noqa: E501  (one guard a line)
from typing import NamedTuple


class Mutant(NamedTuple):
    """`old` stands exactly once in `file`; with `new` in its place one of `tests` must fail."""

    guard: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


TOKENS, GUARDS = "tests/security/test_tokens.py", "tests/security/test_guards.py"
ACCESS, LIMITS = "tests/security/test_access.py", "tests/security/test_limits.py"
BOMBS, ESCAPING = "tests/security/test_bombs.py", "tests/security/test_escaping.py"
POLICY, FIGURES = "tests/browser/test_policy.py", "tests/webui/charts/test_figures.py"
CHECKPOINTS, RUN = "tests/cusp/checkpoints/test_manifest.py", "tests/cusp/test_run.py"
WORKER, EVALUATION = "tests/trainer/test_worker.py", "tests/trainer/evaluation/test_evaluate.py"
WIRE, BATCHES = "tests/cusp/protocol/test_messages.py", "tests/monitor/ingest/test_ingest.py"
POSTED_SCORES = "tests/monitor/api/routes/scores/test_posted.py"
DIFFERENCES = "tests/monitor/api/routes/scores/test_differences.py"
FROM_NETWORK = f"{WORKER}::test_what_names_a_file_or_an_address_is_not_taken_from_the_network"
LIMITED_RUN = f"{TOKENS}::test_a_token_limited_to_a_run_reaches_no_other_by_any_route[sqlite]"
LIMITED_PROJECT = f"{TOKENS}::test_a_token_limited_to_a_project_sees_and_feeds_only_that[sqlite]"
OWN_SCOPE = f"{TOKENS}::test_a_scope_opens_its_own_routes_and_no_other[sqlite-read]"
DECLARED = f"{TOKENS}::test_every_route_declares_one_scope[sqlite]"
REVOKED = f"{TOKENS}::test_a_revoked_token_is_refused_at_once_here_and_soon_elsewhere[sqlite]"
CONSTANT_TIME = f"{GUARDS}::test_every_secret_is_compared_in_constant_time"
HEADERS = f"{GUARDS}::test_every_answer_carries_the_security_headers"
DIRECTIVES = f"{GUARDS}::test_the_policy_allows_our_files_and_nothing_else"
COOKIE = f"{GUARDS}::test_the_cookie_is_out_of_reach_of_scripts_other_sites_and_plain_http"
FOREIGN = f"{GUARDS}::test_a_page_of_another_site_cannot_act_with_the_browsers_cookie"
FORGED = f"{GUARDS}::test_a_cookie_made_for_one_token_cannot_be_turned_into_anothers"
STREAM = (
    f"{GUARDS}::test_a_stream_ends_with_its_token_and_shows_a_limited_one_only_its_runs[sqlite]"
)
KINDS = f"{GUARDS}::test_each_kind_of_thing_in_a_run_is_bounded_and_the_rest_is_stored[sqlite]"
BODY = f"{GUARDS}::test_a_body_is_limited_by_what_arrives_whatever_its_head_says"
FULL = f"{LIMITS}::test_a_full_project_and_a_full_run_refuse_with_the_way_out[sqlite]"
AUDITED = f"{LIMITS}::test_every_acting_request_is_audited_with_who_where_and_outcome[sqlite]"
FIELDS = f"{ESCAPING}::test_no_text_of_any_record_becomes_an_element[run_page]"
ROWS = f"{ESCAPING}::test_no_text_of_any_record_becomes_an_element[runs_page]"
SAID = f"{ESCAPING}::test_what_is_said_of_a_transition_is_text"
SAMPLES = f"{ESCAPING}::test_no_text_of_any_record_becomes_an_element[samples_page]"
OTHER_PAGES = {
    "sections/row.html": ROWS,
    "sections/transition.html": SAID,
    "pages/samples.html": SAMPLES,
    "pages/differences.html": SAMPLES.replace("samples_page", "differences_page"),
}  # the others: FIELDS
CHARTS = f"{ESCAPING}::test_no_text_of_any_record_becomes_a_tag_in_a_chart"
SESSIONS, CROSS = "tests/security/test_sessions.py", "tests/security/test_cross_site.py"
FORWARDED, PACKED = (
    "tests/security/test_forwarded.py",
    "tests/monitor/api/middleware/test_compression.py",
)
BELOW = f"{FORWARDED}::test_all_that_a_visitor_is_given_lies_below_the_prefix"
SLASH = f"{FORWARDED}::test_a_slash_at_the_end_is_forgiven_and_leads_nowhere_else"
LOGGED_OUT = f"{SESSIONS}::test_logging_out_ends_the_session_at_every_monitor[sqlite]"
OTHER_KEY = f"{SESSIONS}::test_another_bootstrap_token_ends_all_sessions_and_another_database_knows_none[sqlite]"
ELSEWHERE = f"{SESSIONS}::test_the_log_in_leads_to_this_monitor_only"
OTHERS = f"{CROSS}::test_pages_of_others_do_not_act"
UNREADABLE = f"{CROSS}::test_what_cannot_be_read_is_refused_with_a_sentence"
REDIRECT = f"{GUARDS}::test_a_token_follows_no_redirect_and_no_proxy"
HARMLESS = "tests/trainer/gym/test_harmless_answer.py"
SSRF = "tests/monitor/webhooks/test_ssrf.py"
POSTED = "tests/security/test_webhook_guard.py"
NOT_DONE = f"{GUARDS}::test_nothing_unpickles_evaluates_or_trusts_code_of_others"

WHO_MAY = [
    Mutant("a route asks for its scope", "monitor/api/permissions.py", "if not grant.has(scope):", "if False:", (OWN_SCOPE,)),
    Mutant("a scope is no other scope", "monitor/auth/grants.py", 'return scope in self.scopes or "admin" in self.scopes', "return True", (OWN_SCOPE,)),
    Mutant("a limited token reaches no route without a run of its own", "monitor/api/permissions.py", "if grant.limited and not filters:", "if False:", (LIMITED_RUN,)),
    Mutant("a limited token reaches its own run only", "monitor/api/permissions.py", "if not grant.reaches(run_id, run.project if run else project):", "if False:", (LIMITED_RUN,)),
    Mutant("the limit to a run", "monitor/auth/grants.py", "return self.run_id in (None, run_id) and self.project in (None, project)", "return self.project in (None, project)", (LIMITED_RUN,)),
    Mutant("the limit to a project", "monitor/auth/grants.py", "return self.run_id in (None, run_id) and self.project in (None, project)", "return self.run_id in (None, run_id)", (LIMITED_PROJECT,)),
    Mutant("a run is announced within the token's limits", "monitor/api/routes/runs.py", "check_run(tx, grant, start.run_id, start.project)", "pass", (f"{TOKENS}::test_a_trainers_token_can_only_feed_its_own_run[sqlite]", LIMITED_PROJECT)),
    Mutant("the list of runs shows a limited token its run", "monitor/api/queries.py", "only=grant.run_id", "only=None", (LIMITED_RUN,)),
    Mutant("the list of runs shows a limited token its project", "monitor/api/queries.py", "within=grant.project", "within=None", (LIMITED_PROJECT,)),
    Mutant("jobs of all runs are not for a limited token", "monitor/api/routes/jobs.py", "if run_id is None and grant.limited:", "if False:", (LIMITED_RUN,)),
    Mutant("jobs of another run are not for a limited token", "monitor/api/routes/jobs.py", "            check_run(tx, grant, run_id)\n", "            pass\n", (LIMITED_RUN,)),
    Mutant("the stream of the table shows a limited token its runs", "monitor/api/routes/events.py", "found = service.table.follow(grant.reaches)", "found = service.table.follow(lambda *_: True)", (STREAM,)),
    Mutant("a stream ends when its token is revoked", "monitor/auth/tokens.py", "return grant.token_id is None or self._row(grant.token_id) is not None", "return True", (STREAM,)),
    Mutant("a route without a scope is found (REST)", "monitor/api/routes/tokens.py", '@router.get("/tokens", dependencies=[needs("admin")],', '@router.get("/tokens",', (DECLARED,)),
    Mutant("a route without a scope is found (pages)", "monitor/api/pages.py", '@router.get("/runs/{run_id}", response_class=HTMLResponse, dependencies=[needs("read")])', '@router.get("/runs/{run_id}", response_class=HTMLResponse)', (f"{TOKENS}::test_pages_that_are_not_in_the_document_declare_one_too[sqlite]",)),
    Mutant("only health checks and the log-in are open", "monitor/auth/grants.py", 'return path in OPEN_PATHS or path.startswith("/static/")', "return True", (f"{ACCESS}::test_every_route_but_the_health_checks_needs_the_token",)),
]  # fmt: skip

SECRETS = [
    Mutant("a token is 256 bits", "monitor/auth/grants.py", "base64.urlsafe_b64encode(made.digest())", "base64.urlsafe_b64encode(made.digest()[:16])", (f"{TOKENS}::test_the_secret_is_shown_once_and_kept_nowhere[sqlite]",)),
    Mutant("a token's secret needs CUSP_TOKEN", "monitor/auth/grants.py", 'made = hmac.new(key.encode(), f"cusp token', 'made = hmac.new(b"", f"cusp token', (f"{GUARDS}::test_a_tokens_secret_cannot_be_made_by_who_knows_its_request",)),
    Mutant("only a hash of a token is stored", "monitor/auth/grants.py", 'return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()', "return secret", (f"{TOKENS}::test_the_secret_is_shown_once_and_kept_nowhere[sqlite]",)),
    Mutant("secrets are compared in constant time", "monitor/auth/grants.py", 'return hmac.compare_digest(token.encode(), given.strip().encode("utf-8", "replace"))', "return token == given.strip()", (CONSTANT_TIME,)),
    Mutant("an unknown id costs a comparison, too", "monitor/auth/tokens.py", 'right = grants.matches(row.hash if row else "", grants.hash_of(parts[1]))', "right = row is not None and grants.matches(row.hash, grants.hash_of(parts[1]))", (CONSTANT_TIME,)),
    Mutant("the secret of a token is checked", "monitor/auth/tokens.py", 'right = grants.matches(row.hash if row else "", grants.hash_of(parts[1]))', "right = True", (f"{TOKENS}::test_a_damaged_token_is_refused[sqlite-x]",)),
    Mutant("CUSP_TOKEN is checked whole", "monitor/auth/tokens.py", "if self._key is not None and grants.matches(self._key, given):", "if self._key is not None and given and self._key.startswith(given):", (f"{ACCESS}::test_every_route_but_the_health_checks_needs_the_token",)),
    Mutant("a revoked token is refused", "monitor/auth/tokens.py", "if row is None or row.revoked_at is not None:", "if row is None:", (REVOKED,)),
    Mutant("a revoked token is refused here at once", "monitor/api/routes/tokens.py", "service.tokens.forget(token_id)", "pass", (REVOKED,)),
    Mutant("a revoked token is refused elsewhere within seconds", "monitor/auth/tokens.py", "REMEMBERED_S = 3.0", "REMEMBERED_S = 3_000.0", (f"{GUARDS}::test_a_revoked_token_is_good_for_seconds_elsewhere_and_no_longer",)),
    Mutant("what was looked up is forgotten in time", "monitor/auth/tokens.py", "if known is None or known.until < self._ticks():", "if known is None:", (REVOKED,)),
    Mutant("made-up tokens cost bounded memory", "monitor/auth/tokens.py", "while len(self._known) > MOST_REMEMBERED:", "while False:", (f"{GUARDS}::test_made_up_tokens_cost_bounded_memory",)),
    Mutant("no token is called like another author", "monitor/api/routes/tokens.py", "if asked.name in _RESERVED:", "if False:", (f"{TOKENS}::test_no_token_may_be_called_like_the_policy[sqlite]",)),
    Mutant("beyond loopback a token is needed", "monitor/settings.py", "if not is_loopback(config.host) and not config.token:", "if False:", (f"{ACCESS}::test_beyond_loopback_a_token_is_needed",)),
    Mutant("cusp serve checks where it listens", "monitor/settings.py", "    return checked(\n        MonitorConfig(", "    return (\n        MonitorConfig(", ("tests/contract/test_command_line.py::test_listening_beyond_loopback_without_a_token_is_refused",)),
    Mutant("a short CUSP_TOKEN is refused", "monitor/settings.py", "if config.token is not None and len(config.token) < 16:", "if False:", (f"{ACCESS}::test_beyond_loopback_a_token_is_needed",)),
    Mutant("only loopback addresses are loopback", "monitor/settings.py", "return ipaddress.ip_address(host).is_loopback", "return ipaddress.ip_address(host).is_loopback or host.startswith(('0.', '192.168.'))", (f"{GUARDS}::test_only_this_machine_is_this_machine",)),
    Mutant("a config's credentials stay at home", "cusp/run_config.py", "if not _SECRET.search(text_of(key)) or isinstance(value, int | float | bool)", "if True", (f"{RUN}::test_credentials_in_the_config_stay_at_home",)),
    Mutant("no token in the monitor's log", "monitor/api/middleware/authentication.py", "        if grant is None:\n            self._anonymous.take(asker)\n", "        if grant is None:\n            print(bearer, flush=True)\n            self._anonymous.take(asker)\n", (f"{GUARDS}::test_no_token_is_in_a_log_or_in_the_database",)),
    Mutant("a defect is answered without what happened", "monitor/api/problem_details.py", '"the monitor failed on this; its log says how"', "str(error)", (f"{GUARDS}::test_a_defect_is_answered_without_what_happened",)),
    Mutant("what was sent is not sent back", "monitor/api/problem_details.py", "f\"{place}: {first['msg']}\"", "f\"{place}: {first['msg']} {first['input']}\"", (f"{GUARDS}::test_what_was_sent_is_not_sent_back_in_an_error",)),
    Mutant("a trainer's token follows no redirect", "cusp/connection.py", "        trust_env=False,\n", "        trust_env=False,\n        follow_redirects=True,\n", (f"{REDIRECT}[by_run]",)),
    Mutant("a command's token follows no redirect", "cusp/connection.py", "trust_env=False,", "trust_env=False, follow_redirects=True,", (f"{REDIRECT}[by_client]",)),
    Mutant("a recipe from the network is no path", "trainer/jobs/asked_recipe.py", "if name not in recipe_names():", "if False:", (f"{WORKER}::test_a_recipe_from_the_network_is_a_name_and_never_a_path", FROM_NETWORK)),
    Mutant("an override from the network names no file", "trainer/jobs/asked_recipe.py", "if (key, value) not in shipped and _is_of_this_box(key, value):", "if False:", (FROM_NETWORK,)),
    Mutant("a hub's name from the network is no folder", "trainer/jobs/asked_recipe.py", " and not Path(name).exists()", "", (FROM_NETWORK,)),
    Mutant("a base model from the network is a hub's name", "trainer/jobs/asked_evaluation.py", "if not is_hub_name(name):", "if False:", ("tests/trainer/jobs/test_asked_evaluation.py::test_a_base_that_is_no_name_of_the_hub_is_not_taken_over_the_network",)),
    Mutant("an override from the network is no option", "trainer/jobs/asked_recipe.py", 'if "=" not in text or text.startswith("-")', "if False", (f"{WORKER}::test_overrides_that_the_recipe_refuses_fail_the_training_in_its_sentence",)),
    Mutant("waiting trainings are bounded", "monitor/actions/boxes/submit.py", "if jobs.unfinished_trainings(tx) >= MOST_WAITING:", "if False:", ("tests/monitor/api/routes/test_trainings.py::test_there_is_a_most_that_may_wait[sqlite]",)),
    Mutant("a worker's token follows no redirect", "cusp/connection.py", "trust_env=False,", "trust_env=False, follow_redirects=True,", (f"{REDIRECT}[by_worker]",)),
    Mutant("a trainer's token goes to no proxy", "cusp/connection.py", "        trust_env=False,\n", "", (f"{REDIRECT}[by_run]",)),
    Mutant("a worker's token goes to no proxy", "cusp/connection.py", "        trust_env=False,\n", "", (f"{REDIRECT}[by_worker]",)),
]  # fmt: skip

BROWSERS = [
    Mutant("cookie: HttpOnly", "monitor/api/routes/sessions.py", "httponly=True", "httponly=False", (COOKIE,)),
    Mutant("cookie: SameSite=Strict", "monitor/api/routes/sessions.py", 'samesite="strict"', 'samesite="lax"', (COOKIE,)),
    Mutant("cookie: Secure over https", "monitor/api/routes/sessions.py", "secure=is_secure(request),\n        max_age", "secure=False,\n        max_age", (COOKIE,)),
    Mutant("cookie: below the prefix only", "webui/address.py", 'return PREFIX.get() or "/"', 'return "/"', (BELOW,)),
    Mutant("cookie: a name of its own for https", "monitor/auth/sessions.py", 'return f"__Secure-{self._name}" if secure else self._name', "return self._name", (f"{SESSIONS}::test_cookies_over_https_have_a_name_that_plain_http_cannot_set",)),
    Mutant("cookie: a name of its own for each monitor", "monitor/auth/sessions.py", 'hmac.new(key, b"cookie name", hashlib.sha256)', 'hmac.new(b"", b"cookie name", hashlib.sha256)', (f"{SESSIONS}::test_cookies_over_https_have_a_name_that_plain_http_cannot_set",)),
    Mutant("the cookie is signed", "monitor/auth/sessions.py", "signed, at = self._signer.unsign(value, return_timestamp=True)", 'signed, at = value.rsplit(".", 2)[0].encode(), self._signer.timestamp_to_datetime(int(self._clock()))', (FORGED,)),
    Mutant("a session is signed with CUSP_TOKEN", "monitor/auth/sessions.py", "key = hmac.new(token.encode()", 'key = hmac.new(b""', (OTHER_KEY,)),
    Mutant("a session is signed with the database's secret", "monitor/auth/sessions.py", 'f"cusp sessions {secret}".encode()', 'b"cusp sessions"', (OTHER_KEY,)),
    Mutant("a session ends by itself", "monitor/auth/sessions.py", "if not -SKEW_S <= age_s < LIFE_S or", "if", (f"{SESSIONS}::test_a_session_ends_after_thirty_days_whatever_the_browser_does[sqlite]",)),
    Mutant("a session is not from the future", "monitor/auth/sessions.py", "not -SKEW_S <= age_s < LIFE_S", "not age_s < LIFE_S", (f"{SESSIONS}::test_a_session_ends_after_thirty_days_whatever_the_browser_does[sqlite]",)),
    Mutant("logging out ends the session", "monitor/auth/tokens.py", "sessions.end(tx, session.id, session.ends_at, self._clock())", "pass", (LOGGED_OUT,)),
    Mutant("a session that was ended is refused", "monitor/auth/tokens.py", "        if self._has_ended(session.id):\n            return None\n", "", (LOGGED_OUT,)),
    Mutant("a session ends with its token", "monitor/auth/tokens.py", "row = self._row(session.token_id) if session.token_id else None\n        found = _grant(row) if session.token_id else EVERYTHING", "found = EVERYTHING", (f"{SESSIONS}::test_a_revoked_token_ends_its_sessions_and_no_other[sqlite]",)),
    Mutant("a stream ends with its session", "monitor/auth/tokens.py", "if session and (session.ends_at <= self._clock() or self._has_ended(session.id)):", "if False:", (f"{SESSIONS}::test_an_open_stream_ends_with_its_session[sqlite]",)),
    Mutant("ended sessions are kept as long as they matter", "monitor/store/access/sessions.py", "where(ended_sessions.c.ends_at < now)", "where(ended_sessions.c.ends_at > 0)", (f"{SESSIONS}::test_ending_one_session_does_not_bring_back_another[sqlite]",)),
    Mutant("ended sessions are forgotten in time", "monitor/store/access/sessions.py", "where(ended_sessions.c.ends_at < now)", "where(ended_sessions.c.ends_at < 0)", (f"{SESSIONS}::test_a_session_that_was_ended_is_remembered_as_long_as_its_cookie_could_be_used[sqlite]",)),
    Mutant("cookies of one name cost bounded time", "monitor/auth/sessions.py", "cookies[:MOST_TRIED]", "cookies", (f"{SESSIONS}::test_a_thousand_cookies_of_one_name_cost_no_more_than_a_few",)),
    Mutant("only a right token gets a cookie", "monitor/auth/tokens.py", "if self._key is None or self.sessions is None or self.of_bearer(given) is None:", "if self._key is None or self.sessions is None:", (f"{ACCESS}::test_a_browser_logs_in_once_and_the_cookie_is_not_the_token",)),
    Mutant("the log-in leads to no other host", "monitor/api/routes/sessions.py", 'return "/" if wanted.startswith("//") else wanted', "return wanted", (ELSEWHERE,)),
    Mutant("the log-in leads to no other host by a backslash", "monitor/api/routes/sessions.py", ' and "\\\\" not in wanted', "", (ELSEWHERE,)),
    Mutant("the log-in leads to no other host by a tab", "monitor/api/routes/sessions.py", "wanted.isascii() and wanted.isprintable() and", "wanted.isascii() and", (ELSEWHERE,)),
    Mutant("the log-in leads to a path", "monitor/api/routes/sessions.py", ' or not wanted.startswith("/")', "", (ELSEWHERE,)),
    Mutant("a slash at the end leads to no other host", "monitor/api/middleware/forwarded.py", """quote("/" + scope["path"].strip("/"),""", """quote(scope["path"].rstrip("/"),""", (SLASH,)),
    Mutant("only a trusted proxy is believed", "monitor/api/middleware/forwarded.py", "if (client[0] if client else None) not in self.trusted_hosts:", "if False:", (f"{FORWARDED}::test_only_a_trusted_proxy_says_the_prefix",)),
    Mutant("a prefix holds nothing but names", "monitor/path_prefix.py", "if not _PREFIX.fullmatch(found) or len(found) > LONGEST:", "if False:", (f"{FORWARDED}::test_what_cannot_be_a_prefix_is_refused_with_a_sentence",)),
    Mutant("a rebound name stays one, whatever it says", "monitor/api/middleware/authentication.py", "cross_site.is_untrusted_host(host):", "cross_site.is_untrusted_host(getattr(request.state, 'forwarded_host', '') or host):", (f"{FORWARDED}::test_a_rebound_name_is_not_made_ours_by_saying_so",)),
    Mutant("a page of another site cannot act", "monitor/api/middleware/authentication.py", 'return problem(403, "Not allowed", foreign) if foreign else None', "return None", (FOREIGN,)),
    Mutant("a page of another site: POST acts", "monitor/auth/cross_site.py", 'SAFE_METHODS = ("GET", "HEAD", "OPTIONS")', 'SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "POST")', (FOREIGN,)),
    Mutant("a page of another site: DELETE acts", "monitor/auth/cross_site.py", 'SAFE_METHODS = ("GET", "HEAD", "OPTIONS")', 'SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "DELETE")', (FOREIGN,)),
    Mutant("a page of another site: whole origin", "monitor/auth/cross_site.py", "return any(origin == one for one in named)", "return any(one and origin.host.startswith(one.host) for one in named)", (FOREIGN,)),
    Mutant("a page of another site: what the browser says of it", "monitor/auth/cross_site.py", "own = site in _OWN_SITE", 'own = site != "cross-site"', (OTHERS,)),
    Mutant("a page of another site: a hidden origin", "monitor/auth/cross_site.py", "if origin is None or (scheme", 'if origin is None:\n        return True\n    if (scheme', (OTHERS,)),
    Mutant("a page of another site: https is not http", "monitor/auth/cross_site.py", ' or (scheme == "https" and origin.scheme != "https")', "", (OTHERS,)),
    Mutant("a page of another site: Referer where there is no Origin", "monitor/auth/cross_site.py", 'headers.get("origin") or headers.get("referer") or ""', 'headers.get("origin") or ""', (OTHERS,)),
    Mutant("an unreadable address is nobody's", "monitor/auth/cross_site.py", "    except ValueError:\n        return None\n", "    except KeyError:\n        return None\n", (UNREADABLE,)),
    Mutant("nothing is packed for a page of another site", "monitor/api/middleware/compression.py", "return own and takes_gzip", "return takes_gzip", (f"{PACKED}::test_no_secret_and_nothing_for_another_sites_page_is_packed",)),
    Mutant("nobody's certificate is not everybody's", "cusp/tls.py", "return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)", "return ssl._create_unverified_context()", ("tests/contract/test_own_authority.py::test_nobody_is_trusted_where_nobody_was_named",)),
    Mutant("a rebound name is refused", "monitor/api/middleware/authentication.py", "if self._tokens.is_open and cross_site.is_untrusted_host(host):", "if False:", (f"{ACCESS}::test_without_a_token_only_this_machines_names_are_answered",)),
    Mutant("headers on every answer", "monitor/api/middleware/authentication.py", "await (refusal or self._app)(scope, receive, send_with_headers)", "await (refusal or self._app)(scope, receive, send)", (HEADERS,)),
    Mutant("header: Content-Security-Policy", "monitor/api/middleware/authentication.py", '    "Content-Security-Policy": assets.CONTENT_SECURITY_POLICY,\n', "", (HEADERS,)),
    Mutant("header: nosniff", "monitor/api/middleware/authentication.py", '    "X-Content-Type-Options": "nosniff",\n', "", (HEADERS,)),
    Mutant("header: Referrer-Policy", "monitor/api/middleware/authentication.py", '    "Referrer-Policy": "same-origin",', "", (HEADERS,)),
    Mutant("header: Cross-Origin-Opener-Policy", "monitor/api/middleware/authentication.py", '    "Cross-Origin-Opener-Policy": "same-origin",\n', "", (HEADERS,)),
    Mutant("header: Cross-Origin-Resource-Policy", "monitor/api/middleware/authentication.py", '    "Cross-Origin-Resource-Policy": "same-origin",\n', "", (HEADERS,)),
    Mutant("header: Cache-Control", "monitor/api/middleware/authentication.py", '    "Cache-Control": "no-store",\n', "", (HEADERS,)),
    Mutant("policy: default-src", "webui/assets.py", "default-src 'none'; ", "", (DIRECTIVES,)),
    Mutant("policy: script-src", "webui/assets.py", "script-src 'self'; ", "script-src 'self' 'unsafe-inline'; ", (DIRECTIVES,)),
    Mutant("policy: style-src", "webui/assets.py", "style-src 'self'; ", "style-src 'self' 'unsafe-inline'; ", (DIRECTIVES,)),
    Mutant("policy: img-src", "webui/assets.py", "img-src 'self' data: blob:; ", "img-src *; ", (DIRECTIVES,)),
    Mutant("policy: connect-src", "webui/assets.py", "connect-src 'self'; ", "connect-src *; ", (DIRECTIVES,)),
    Mutant("policy: form-action", "webui/assets.py", "form-action 'self'; ", "", (DIRECTIVES,)),
    Mutant("policy: frame-ancestors", "webui/assets.py", "frame-ancestors 'none'; ", "", (DIRECTIVES,)),
    Mutant("policy: base-uri", "webui/assets.py", "; base-uri 'none'", "", (DIRECTIVES,)),
    Mutant("a browser keeps to the policy", "webui/assets.py", "style-src 'self'; ", "style-src 'self' 'unsafe-inline'; ", (f"{POLICY}::test_the_policy_stops_inline_scripts_and_styles_and_leaves_the_charts_their_style",)),
    Mutant("what was set aside is a download", "monitor/api/routes/history.py", "media_type=MEDIA_TYPE, headers=headers", 'media_type="text/html"', (f"{GUARDS}::test_what_was_set_aside_is_a_download_and_never_a_page[sqlite]",)),
    Mutant("only shipped files are served", "webui/assets.py", "if name not in names():", "if False:", ("tests/webui/test_assets.py::test_nothing_else_can_be_read",)),
]  # fmt: skip

TEXTS = [
    Mutant("templates escape", "webui/templating.py", "autoescape=True", "autoescape=False", (FIELDS,)),
    Mutant("figures in a page cannot end their element", "webui/templates/pages/run.html", "{{ figure|tojson }}", "{{ figure|string|safe }}", (FIELDS,)),
    Mutant("small figures cannot end their element", "webui/templates/pages/run.html", "{{ others|tojson }}", "{{ others|string|safe }}", (FIELDS,)),
    Mutant("marks cannot end their element", "webui/templates/sections/marks.html", "{{ marks|tojson }}", "{{ marks|string|safe }}", (f"{ESCAPING}::test_marks_cannot_end_the_element_they_stand_in",)),
    Mutant("a replay's figures cannot end their element", "monitor/replay/page.py", '.replace("<", "\\\\u003c")', "", (f"{ESCAPING}::test_metrics_of_a_replayed_log_are_text_in_its_page",)),
    Mutant("names of metrics are text for Plotly", "webui/format.py", 'return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")', "return value", (CHARTS,)),
    Mutant("a metric's title is text for Plotly", "webui/charts/traces.py", "label = format.charted(format.metric(name))", "label = format.metric(name)", (CHARTS,)),
    Mutant("a small chart's title is text for Plotly", "webui/charts/figures.py", '"text": format.charted(format.metric(name)),', '"text": format.metric(name),', (CHARTS,)),
    Mutant("aliases of a flag are text for Plotly", "webui/charts/traces.py", "{format.charted(named)}", "{named}", (CHARTS,)),
    Mutant("the name of evidence is text for Plotly", "webui/charts/traces.py", "{format.charted(format.short_metric(name))}", "{format.short_metric(name)}", (CHARTS,)),
    *(
        Mutant(f"{name}: {what}", f"webui/templates/{name}", what, what.replace(" or '' }}", " }}").replace(" }}", "|safe }}"), (OTHER_PAGES.get(name, FIELDS),))
        for name, what in (
            ("pages/run.html", "<td>{{ value }}"),
            ("pages/run.html", 'data-metric="{{ figure.name }}"'),
            ("pages/run.html", "Chart of {{ figure.name|metric_words }}"),
            ("dialogs.html", "<h2 id=\"stop-title\">Stop {{ run.name }}"),
            ("sections/header.html", "</i>{{ run.name }}</h1>"),
            ("sections/header.html", '">{{ run.project }}</a>'),
            ("sections/header.html", ">{{ reason }}"),
            ("sections/header.html", "{{ run|headline }}"),
            ("sections/header.html", "{% for one in run.quarantine %}<li>{{ one.reason }}"),
            ("sections/header.html", "{{ one.step|whole }}: {{ one.reason }}"),
            ("sections/row.html", 'title="{{ run.name }}"'),
            ("sections/row.html", '">{{ run.name }}</a>'),
            ("sections/row.html", '">{{ run.project }}</a>'),
            ("sections/row.html", "{{ tag }}"),
            ("macros.html", "title=\"{{ run.status_reason or '' }}\""),
            ("sections/commands.html", "asked by {{ c.author|text }}"),
            ("sections/commands.html", '<span class="small">{{ reason }}'),
            ("sections/commands.html", "{{ c.state_reason }}"),
            ("evaluated/sample.html", "{{ s.prompt|text }}"),
            ("evaluated/sample.html", "{{ reward|short_metric }}"),
            ("pages/samples.html", "{{ s.prompt|text }}"),
            ("pages/samples.html", ">{{ name|metric_words }}"),
            ("pages/samples.html", '">{{ run.name }}</a>'),
            ("pages/differences.html", "{{ p.question }}"),
            ("pages/differences.html", "{{ p.gold }}"),
            ("pages/differences.html", "{{ s.answer }}"),
            ("pages/differences.html", "<code>{{ p.problem_id }}"),
            ("evaluated/forest.html", "</span>{{ line.task }}"),
            ("evaluated/benchmarks.html", '<th scope="col">{{ c.task }}'),
            ("sections/decisions.html", "<p>{{ e.text }}"),
            ("sections/decisions.html", "{{ e.who|text }}"),
            ("sections/decisions.html", "{{ e.what|text }}"),
            ("sections/decisions.html", "{{ e.target }}"),
            ("sections/decisions.html", "{{ v|text }}"),
            ("sections/decisions.html", '<span class="dim">{{ k }}'),
            ("sections/checkpoints.html", "{{ c.path }}</code>"),
            ("sections/evaluations.html", "<h3>{{ task }}"),
            ("sections/evaluations.html", "{{ words }}"),
            ("sections/jobs.html", "{{ p.text or '' }}"),
            ("sections/jobs.html", "{{ j.error }}"),
            ("sections/transition.html", '<p class="lead">{{ words }}'),
            ("sections/transition.html", '<span class="small">{{ said }}'),
        )
    ),
    Mutant("a completion is text", "webui/completions/completion_text.py", "return escape(part.text)", "return Markup(part.text)", (FIELDS,)),
    Mutant("a marked part of a completion is text", "webui/completions/completion_text.py", "</mark>').format(part.kind, part.text)", "</mark>').format(part.kind, Markup(part.text))", ("tests/webui/completions/test_texts.py::test_marking_keeps_every_character_and_lets_no_element_through[<think>]",)),
    Mutant("a stranger's error is text", "webui/templates/pages/error.html", "<p>{{ detail }}</p>", "<p>{{ detail|safe }}</p>", (f"{ESCAPING}::test_pages_for_strangers_show_what_was_sent_as_text",)),
    Mutant("a new metric's title is text for Plotly (script)", "webui/static/js/charts/others.js", '.replaceAll("<", "&lt;")', "", (f"{POLICY}::test_live_changes_are_text_too",)),
    Mutant("live texts are text (script)", "webui/static/js/patch.js", "el.textContent = unsaid;", "el.innerHTML = unsaid;", (f"{POLICY}::test_live_changes_are_text_too",)),
    Mutant("what the monitor says is text (script)", "webui/static/js/api.js", "  said.textContent = text;\n", "  said.innerHTML = text;\n", (f"{POLICY}::test_live_changes_are_text_too",)),
]  # fmt: skip

AMOUNTS = [
    Mutant("a body is limited", "monitor/api/middleware/body_limit.py", "            if size > self._limit:\n", "            if False:\n", (BODY,)),
    Mutant("a packed body is unpacked within the limit", "monitor/api/middleware/body_limit.py", "part = unpack.decompress(part, self._limit + 1 - size)", "part = unpack.decompress(part)", (f"{BOMBS}::test_a_packed_bomb_ends_at_the_limit_in_little_memory",)),
    Mutant("bodies of every method are limited", "monitor/api/middleware/body_limit.py", 'scope["method"] in ("GET", "HEAD")', 'scope["method"] in ("GET", "HEAD", "DELETE")', (BODY,)),
    Mutant("a config's depth is limited", "cusp/protocol/fields.py", "if _deeper_than(value, MAX_DEPTH):", "if False:", (f"{BOMBS}::test_a_config_is_as_deep_as_can_be_read_back_and_no_deeper[sqlite]",)),
    Mutant("a config that holds itself is cut", "cusp/run_config.py", " or id(value) in around", "", (f"{BOMBS}::test_a_config_that_holds_itself_is_cut_by_the_client[sqlite]",)),
    Mutant("numbers are bounded for the detector", "monitor/detector/signal/metrics.py", "return min(MOST, max(-MOST, value))", "return value", (f"{BOMBS}::test_extreme_numbers_are_stored_and_neither_break_the_detector_nor_an_answer",)),
    Mutant("NaN is no number", "cusp/protocol/reading.py", "value - value == 0.0", "True", (f"{BOMBS}::test_what_is_no_finite_number_costs_its_message_only[sqlite]",)),
    Mutant("steps are bounded", "cusp/protocol/reading.py", "if type(step) is not int or not 0 <= step <= MAX_STEP:", "if type(step) is not int:", (f"{BOMBS}::test_a_step_beyond_what_is_counted_costs_its_message_only[sqlite]",)),
    Mutant("metrics of a point are bounded", "cusp/protocol/reading.py", "ordered[:MAX_METRICS]}", "ordered}", (f"{BOMBS}::test_of_a_point_of_a_hundred_thousand_metrics_512_are_taken[sqlite]",)),
    Mutant("messages of a batch are bounded", "cusp/protocol/messages.py", "Field(max_length=MAX_MESSAGES)", "Field()", (f"{BOMBS}::test_a_huge_array_is_refused_without_being_looked_at",)),
    Mutant("names are bounded", "cusp/protocol/reading.py", "and 0 < len(name) <= MAX_NAME_LENGTH", "and 0 < len(name)", (f"{BOMBS}::test_a_huge_text_is_set_aside_and_kept_short[sqlite]", WIRE)),
    Mutant("what is set aside is kept short", "monitor/ingest/quarantine.py", "json.dumps(raw, default=str)[:BODY_LIMIT]", "json.dumps(raw, default=str)", (f"{BOMBS}::test_a_huge_text_is_set_aside_and_kept_short[sqlite]",)),
    Mutant("how much is set aside is bounded", "monitor/ingest/quarantine.py", "if self._kept >= KEPT_ASIDE:", "if False:", (f"{LIMITS}::test_beyond_what_is_kept_messages_are_only_counted[sqlite]",)),
    Mutant("metrics of a run are bounded", "monitor/ingest/series_quota.py", "            out.append(name)\n", "            pass\n", (f"{LIMITS}::test_only_the_metric_beyond_the_limit_is_set_aside[sqlite]",)),
    Mutant("runs of a project are bounded", "monitor/actions/quotas.py", "if quotas.of_project(tx, project) >= RUNS_OF_A_PROJECT:", "if False:", (FULL,)),
    Mutant("attempts of a run are bounded", "monitor/actions/quotas.py", 'if quotas.of_run(tx, run_id, "attempts") >= ATTEMPTS_OF_A_RUN:', "if False:", (FULL,)),
    Mutant("samples, checkpoints, boundaries are bounded", "monitor/actions/quotas.py", "if self._there[kind] >= OF_A_RUN[kind]:", "if False:", (KINDS,)),
    Mutant("they are counted within a batch", "monitor/actions/quotas.py", "self._there[kind] += 1", "pass", (KINDS,)),
    Mutant("waiting jobs are bounded", "monitor/actions/quotas.py", "if quotas.waiting_jobs(tx, run_id) >= WAITING_JOBS_OF_A_RUN:", "if False:", (f"{LIMITS}::test_a_run_with_too_many_waiting_jobs_takes_no_more_until_one_is_done[sqlite]",)),
    Mutant("open commands are bounded", "monitor/actions/quotas.py", "if len(commands.pending(tx, run_id)) >= OPEN_COMMANDS_OF_A_RUN:", "if False:", (f"{LIMITS}::test_a_trainer_is_not_sent_commands_without_end[sqlite]",)),
    Mutant("a token's requests are limited", "monitor/api/middleware/authentication.py", 'return _too_many_requests(self._rates.take(f"{grant.token_id} {asker}"))', "return None", (f"{LIMITS}::test_a_token_that_asks_too_often_is_told_when_to_ask_again",)),
    Mutant("guesses at the log-in are limited", "monitor/api/middleware/authentication.py", "safe = request.method in cross_site.SAFE_METHODS", "safe = True", (f"{LIMITS}::test_guessing_tokens_is_slowed_down_by_address",)),
    Mutant("guesses by header are limited", "monitor/api/middleware/authentication.py", "        if grant is None:\n            self._anonymous.take(asker)\n", "        if grant is None:\n", (f"{GUARDS}::test_guessing_by_header_is_slowed_down_by_address",)),
    Mutant("addresses cost bounded memory", "monitor/auth/rate_limit.py", "while len(self._levels) > self._most:", "while False:", ("tests/security/test_rate.py",)),
    Mutant("an IPv6 network is one asker", "monitor/auth/rate_limit.py", "return str(ipaddress.ip_network((found, 64), strict=False))", "return address", ("monitor/auth/rate_limit.py",)),
    Mutant("a sender waits when it is asked to", "cusp/transport/retry_after.py", "return min(MOST_S, float(said[:9]))", "return 0.0", ("tests/faults/test_busy_monitor.py::test_the_sender_waits_as_long_as_it_was_asked_to",)),
    Mutant("a sender is not silenced for a day", "cusp/transport/retry_after.py", "return min(MOST_S, float(said[:9]))", "return float(said[:9])", ("cusp/transport/retry_after.py",)),
]  # fmt: skip

ACTS_AND_FILES = [
    Mutant("every acting request has its row", "monitor/api/middleware/audit.py", "await to_thread.run_sync(self._write, scope, status)", "pass", (AUDITED,)),
    Mutant("the row names who asked", "monitor/api/middleware/audit.py", "actor=grant.name if grant else NOBODY", "actor=NOBODY", (AUDITED,)),
    Mutant("the row names the address", "monitor/api/middleware/authentication.py", "audit.ADDRESS.set(_address(request))", "pass", (AUDITED,)),
    Mutant("refusals do not fill the log", "monitor/api/middleware/audit.py", 'and not (status >= 400 and self._refused.take("all"))', "", (f"{GUARDS}::test_refused_requests_do_not_fill_the_audit_log",)),
    Mutant("making a token has its row", "monitor/actions/admin.py", 'record(tx, "token.created", None, now, by=author, target=made.id, detail=limits)', "pass", (AUDITED,)),
    Mutant("a promotion has its row", "monitor/actions/record.py", '"checkpoint.promoted": Event("promote", ', '"checkpoint.promoted": Event(None, ', ("tests/monitor/api/routes/test_checkpoints.py::test_promotion_moves_the_alias_with_an_audit_row[sqlite]",)),
    Mutant("no path leads out of the root", "cusp/checkpoints/paths.py", 'or ".." in parts', "", (f"{GUARDS}::test_a_checkpoint_of_another_run_is_not_reached_by_a_way_up",)),
    Mutant("no path is absolute", "cusp/checkpoints/paths.py", "or Path(relative).is_absolute()", "", (f"{CHECKPOINTS}::test_a_path_that_leads_out_of_the_root_is_refused",)),
    Mutant("no path goes through a link", "cusp/checkpoints/paths.py", "        if path.is_symlink():\n            raise CheckpointError(f\"{relative!r} passes", "        if False:\n            raise CheckpointError(f\"{relative!r} passes", (f"{CHECKPOINTS}::test_a_symbolic_link_is_refused",)),
    Mutant("a linked file is no file of a checkpoint", "cusp/checkpoints/manifest.py", "if file.is_symlink() or not file.is_file():", "if not file.is_file():", (f"{GUARDS}::test_a_file_that_is_a_link_is_none_of_the_checkpoints_even_with_the_right_content",)),
    Mutant("every file is hashed", "cusp/checkpoints/manifest.py", "actual = sha256_of(file)", "actual = digest", (f"{CHECKPOINTS}::test_a_flipped_bit_is_found",)),
    Mutant("a checkpoint is the one that was registered", "trainer/jobs/run_folder.py", "if manifest.sha256 != sha256:", "if False:", (f"{WORKER}::test_a_checkpoint_that_was_replaced_by_another_whole_one_is_not_taken",)),
    Mutant("rows are added to an evaluation of the same run only", "monitor/actions/scores/posted.py", "found.run_id == run_id and found.job_id is None", "found.job_id is None", (f"{POSTED_SCORES}::test_rows_come_in_portions_and_a_repeat_changes_nothing",)),
    Mutant("rows are read of an evaluation of the same run only", "monitor/api/routes/scores/differences.py", "found is None or found.run_id != run_id", "found is None", (f"{DIFFERENCES}::test_rows_are_read_a_page_at_a_time",)),
    Mutant("texts come from the worker that has the job", "monitor/actions/scores/brought.py", "job = jobs.held(tx, job_id, token)\n    found", "job = jobs.get(tx, job_id)\n    found", (f"{DIFFERENCES}::test_texts_of_scores_that_are_not_there_and_of_a_lost_job_are_refused",)),
    Mutant("an adapter is safetensors", "trainer/evaluation/adapters.py", "if not (path / ADAPTER).is_file():", "if False:", (f"{EVALUATION}::test_an_adapter_is_loaded_into_a_copy_and_a_pickle_is_never_opened",)),
    Mutant("an adapter is loaded from safetensors only", "trainer/evaluation/adapters.py", ", use_safetensors=True", "", (f"{NOT_DONE}[trainer]",)),
    Mutant("a model's own code is not run", "trainer/training/model.py", "trust_remote_code=False,\n", "trust_remote_code=True,\n", (f"{NOT_DONE}[trainer]",)),
    Mutant("an answer is of its task's characters", "trainer/gym/harmless_answer.py", "if not allowed.fullmatch(answer):", "if False:", (HARMLESS,)),
    Mutant("an answer calls nothing but functions", "trainer/gym/harmless_answer.py", "return called and len", "return len", (HARMLESS,)),
    Mutant("an answer has no attribute", "trainer/gym/harmless_answer.py", " and not _ATTRIBUTE.search(answer)", "", (HARMLESS,)),
    Mutant("a scoring sees harmless answers only", "trainer/gym/task_judge.py", " or not is_harmless(origin[\"task\"], answer)", "", (HARMLESS,)),
    Mutant("what reads completions has no secrets", "trainer/verifiers.py", "env=without_secrets(),", "", ("tests/trainer/test_verifiers.py::test_the_processes_that_read_completions_have_no_secrets",)),
    Mutant("a vLLM server's key goes to known hosts", "trainer/rollouts/server_key.py", " if token and is_trusted(address) else {}", " if token else {}", ("tests/trainer/rollouts/test_server_key.py",)),
    Mutant("a recipe is plain YAML", "trainer/recipe_files.py", 'return YAML(typ="safe", pure=True)', 'return (__import__("warnings").simplefilter("ignore"), YAML(typ="unsafe", pure=True))[1]', ("tests/trainer/test_recipe_loader.py",)),
]  # fmt: skip

WEBHOOKS = [
    Mutant("a webhook's addresses are checked", "monitor/webhooks/client.py", "addresses = checked(target, resolved(target, look_up, deadline_s), allowed)", "addresses = resolved(target, look_up, deadline_s)", (f"{POSTED}::test_a_name_that_points_inside_is_not_even_connected_to",)),
    Mutant("the name is looked up once", "monitor/webhooks/client.py", "await _connected(addresses, target.port)", "await _connected([target.host], target.port)", (f"{POSTED}::test_a_name_that_is_rebound_after_the_look_gets_nothing",)),
    Mutant("the certificate is for the name", "monitor/webhooks/client.py", "plain.start_tls(context, target.host)", "plain.start_tls(context, addresses[0])", (f"{POSTED}::test_a_delivery_arrives_over_https_under_the_names_certificate",)),
    Mutant("a POST ends at the deadline", "monitor/webhooks/client.py", "with anyio.fail_after(within_s):", "with anyio.fail_after(5.0):", (f"{POSTED}::test_a_receiver_that_takes_its_time_is_left_at_the_deadline",)),
    Mutant("a look-up ends at the deadline", "monitor/webhooks/client.py", "thread.join(deadline_s)", "thread.join()", (f"{POSTED}::test_a_resolver_that_hangs_is_left_at_the_deadline",)),
    Mutant("every address of a name is looked at", "monitor/webhooks/ssrf.py", "for text in resolved:", "for text in resolved[:1]:", (f"{SSRF}::test_one_bad_address_among_good_ones_is_refused",)),
    Mutant("what Python calls private is refused", "monitor/webhooks/ssrf.py", "return address.is_global and not", "return not", (f"{SSRF}::test_an_address_that_is_not_public_is_refused_with_the_way_out",)),
    Mutant("multicast is refused", "monitor/webhooks/ssrf.py", "not address.is_multicast and not listed", "not listed", (f"{SSRF}::test_an_address_that_is_not_public_is_refused_with_the_way_out",)),
    Mutant("what Python lets through is refused", "monitor/webhooks/ssrf.py", "not address.is_multicast and not listed", "not address.is_multicast", (f"{SSRF}::test_an_address_that_is_not_public_is_refused_with_the_way_out",)),
    Mutant("IPv6 addresses are handed out ones", "monitor/webhooks/ssrf.py", "if address.version == 6 and address not in _PUBLIC_6:", "if False:", (f"{SSRF}::test_an_address_that_is_not_public_is_refused_with_the_way_out",)),
    Mutant("a public receiver has a usual port", "monitor/webhooks/ssrf.py", "if target.port not in PORTS:", "if False:", (f"{SSRF}::test_a_public_address_is_reached_at_the_usual_ports_only",)),
    Mutant("http stays on this machine", "monitor/webhooks/ssrf.py", 'if target.scheme == "http" and not (named and address.is_loopback):', "if False:", (f"{SSRF}::test_http_is_for_this_machine_and_only_when_allowed",)),
]  # fmt: skip

MUTANTS = [*WHO_MAY, *SECRETS, *BROWSERS, *TEXTS, *AMOUNTS, *ACTS_AND_FILES, *WEBHOOKS]
