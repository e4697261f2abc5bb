"""The sites of the matrix (test_matrix): one clean WordPress, bent in one way each.

A variant is a must-use plugin, rules of the web server, or both. What it registers has content already
(`ITEMS`, `TERMS`): a different number of items for each name, so that a count of something else shows.
"""

from dataclasses import dataclass

LOGINS = ("stranger", "contributor", "administrator")
ITEMS = {"post": 5, "page": 3, "book": 4, "alpha": 6, "beta": 7, "both": 3, "gamma": 8, "delta": 9} | {
    f"p{number}": 10 + number for number in range(16)
}
TERMS = {"category": 4, "post_tag": 2, "genre": 3, "both": 5, "color": 6, "size": 7} | {
    f"t{number}": 10 + number for number in range(8)
}


@dataclass(frozen=True, slots=True)
class Variant:
    plugin: str = ""
    """PHP of a must-use plugin, without its opening tag."""
    rules: str = ""
    """PHP that runs before each request, without its opening tag; true has answered it."""
    expects: str = "equal equal equal"
    """What becomes of the cells of LOGINS: `equal`, `marked`, `refused` or `unknowable`."""
    unknowable: str = ""
    """Why nobody can see from outside what is wrong, where that is so."""
    daily: str = "stranger"
    """Who of LOGINS reads it in every run; nightly everybody does."""

    plain: str = ""
    """What becomes of them with plain permalinks, where that is another."""

    def expected(self, login: str, *, is_plain: bool) -> str:
        return ((is_plain and self.plain) or self.expects).split()[LOGINS.index(login)]


def types(**registered: str) -> str:
    """A plugin that registers post types, each with settings in PHP on top of public and shown in REST."""
    return "add_action( 'init', static function () {" + "".join(
        f"register_post_type( '{slug}', array( {settings} ) + array( 'label' => 'The {slug}', 'public' => true, 'show_in_rest' => true ) );"
        for slug, settings in registered.items()
    ) + "} );"


def taxonomies(**registered: str) -> str:
    """The same for taxonomies of books."""
    return "add_action( 'init', static function () {" + "".join(
        f"register_taxonomy( '{slug}', 'book', array( {settings} ) + array( 'label' => 'The {slug}', 'public' => true, 'show_in_rest' => true ) );"
        for slug, settings in registered.items()
    ) + "} );"


def flags(prefix: str, names: tuple[str, ...]) -> dict[str, str]:
    """One content type for each combination of these settings."""
    return {
        f"{prefix}{number}": ", ".join(
            f"'{name}' => {'true' if number >> bit & 1 else 'false'}" for bit, name in enumerate(names)
        )
        for number in range(1 << len(names))
    }


def at(pattern: str, answer: str) -> str:
    """A rule that answers requests whose address or body matches."""
    return f"if ( preg_match( '~{pattern}~', urldecode( $_SERVER['REQUEST_URI'] ) . file_get_contents( 'php://input' ) ) ) {{ {answer} return true; }}"


def rest(filter_: str, body: str, arguments: str = "$it") -> str:
    number = arguments.count("$")
    return f"add_filter( '{filter_}', static function ( {arguments} ) {{ {body} }}, 99, {number} );"


CLOSED = rest("rest_authentication_errors", "return $it ?: ( is_user_logged_in() ? null : new WP_Error( 'rest_not_logged_in', 'Log in.', array( 'status' => 401 ) ) );")
CLOSED_FOR_ALL = rest("rest_authentication_errors", "return new WP_Error( 'rest_disabled', 'No.', array( 'status' => 403 ) );")
STRIPPED = "unset( $_SERVER['HTTP_AUTHORIZATION'], $_SERVER['PHP_AUTH_USER'], $_SERVER['PHP_AUTH_PW'] );"
FORBIDDEN = "http_response_code( 403 ); echo '<h1>Forbidden</h1>';"
HIDES_FROM = "$it['post__not_in'] = get_posts( array( 'post_type' => '%s', 'fields' => 'ids', 'numberposts' => 2 ) ); return $it;"

VARIANTS: dict[str, Variant] = {
    "clean": Variant(daily="stranger administrator"),
    # --- what is registered, and how ---
    "every combination of flags, types": Variant(
        types(**flags("p", ("public", "publicly_queryable", "exclude_from_search", "show_in_rest"))), expects="marked marked equal", daily="stranger administrator"),
    "every combination of flags, taxonomies": Variant(
        taxonomies(**flags("t", ("public", "publicly_queryable", "show_in_rest"))), expects="marked equal equal", daily="stranger administrator"),
    "odd rest bases": Variant(types(
        alpha="'rest_base' => 'shop/items'", beta="'rest_base' => 'Bücher'", gamma="'rest_base' => 'Items'",
        delta="'rest_base' => 'a b'", p1="'rest_base' => 'it%20s'", p2="'rest_base' => 'x.y~z'", p3="'rest_base' => '(?P<id>[0-9]+)'")),
    "odd namespaces": Variant(types(
        alpha="'rest_namespace' => 'acme/v1'", beta="'rest_namespace' => 'a/b/c'", gamma="'rest_namespace' => 'wp/v3'",
        delta="'rest_namespace' => 'acme/v1', 'rest_base' => 'posts'") + taxonomies(
        color="'rest_namespace' => 'acme/v1'", size="'rest_namespace' => 'acme/v1', 'rest_base' => 'color'")),
    "a slug that is another's base": Variant(types(
        alpha="'rest_base' => 'beta'", beta="'rest_base' => 'gamma'", gamma="'rest_base' => 'alpha'", delta="'rest_base' => 'posts'")),
    "a type and a taxonomy of one slug and base": Variant(types(both="") + taxonomies(both="")),
    "a type and a taxonomy of one base": Variant(types(alpha="'rest_base' => 'both'") + taxonomies(color="'rest_base' => 'both'")),
    "a type at the search route": Variant(types(alpha="'rest_base' => 'search'"), expects="marked equal equal"),
    "a type at the route of the types": Variant(types(alpha="'rest_base' => 'types'"), expects="marked marked equal"),
    "a type at the route of the taxonomies": Variant(types(alpha="'rest_base' => 'taxonomies'"), expects="marked equal equal"),
    "a type at the route of the users": Variant(types(alpha="'rest_base' => 'users'")),
    "a type at the route of the categories": Variant(types(alpha="'rest_base' => 'categories'")),
    "a type at the route of the media": Variant(types(alpha="'rest_base' => 'media'")),
    "labels": Variant(types(
        alpha="'label' => 'Ärger &amp; <b>Freude</b>'", beta="'label' => '🎉 حفلات'", gamma="'label' => str_repeat( 'long ', 200 )",
        delta="'label' => ''", p1="'label' => 2026", p2="'labels' => array( 'name' => array( 'a' ) )",
        p3="'label' => '   '", p4="'label' => '&lt;script&gt;alert(1)&lt;/script&gt;'", p5="'label' => \"two\\nlines\"",
        p6="'label' => '1 < 2 > 0'", p7="'label' => null", p8="'label' => '&amp;amp;amp;'", p9="'label' => false"), expects="marked marked marked"),
    "labels of a plugin": Variant(types(alpha="", beta="", gamma="") +
        rest("post_type_labels_alpha", "$it->name = null; return $it;") + rest("post_type_labels_beta", "$it->name = array( 'x' ); return $it;"), expects="marked marked marked"),
    "public in other words": Variant(types(alpha="'public' => 1", beta="'public' => 'yes'", gamma="'public' => 0", delta="'show_in_rest' => 1")
        + taxonomies(color="'public' => 1", size="'public' => '1'")),
    "slugs with everything": Variant(types(**{"my-type_1": "", "UPPER": "", "0": "", "12": ""}) + taxonomies(**{"pa_größe": "", "UP": "", "a.b": ""}), expects="marked equal equal"),
    "taxonomies with spaces and slashes": Variant(taxonomies(**{"my tax": "", "a/b": ""}), expects="marked marked marked"),
    "a taxonomy of nothing": Variant("add_action( 'init', static fn() => register_taxonomy( 'color', array(), array( 'public' => true, 'show_in_rest' => true, 'label' => 'Colours' ) ) );"),
    "capabilities nobody has": Variant(types(alpha="'capability_type' => 'secret', 'map_meta_cap' => true") + taxonomies(
        color="'capabilities' => array( 'assign_terms' => 'nobody', 'manage_terms' => 'nobody' )"), daily="administrator"),
    "hidden, and capabilities nobody has": Variant(types(alpha="'capability_type' => 'secret', 'show_in_rest' => false, 'map_meta_cap' => true"), expects="marked marked marked", daily="administrator"),
    "hidden and empty, and capabilities nobody has": Variant(types(empty="'capability_type' => 'secret', 'show_in_rest' => false, 'map_meta_cap' => true"), expects="marked marked unknowable", unknowable="XML-RPC tells nobody of a type that nobody may edit, and the sitemap shows none without pages", daily="administrator"),
    "hidden, and capabilities nobody has, no sitemap": Variant(types(alpha="'capability_type' => 'secret', 'show_in_rest' => false, 'map_meta_cap' => true") + "add_filter( 'wp_sitemaps_enabled', '__return_false' );", expects="marked marked marked", daily="administrator"),
    "hidden, and capabilities nobody has, closed to everybody": Variant(CLOSED_FOR_ALL + types(alpha="'capability_type' => 'secret', 'show_in_rest' => false, 'map_meta_cap' => true"), expects="marked marked marked", daily="administrator"),
    "hidden and not queryable": Variant(types(alpha="'show_in_rest' => false, 'publicly_queryable' => false") + taxonomies(color="'show_in_rest' => false, 'publicly_queryable' => false"), expects="marked marked equal", daily="administrator"),
    "hidden and empty": Variant(types(empty="'show_in_rest' => false") + taxonomies(nothing="'show_in_rest' => false"), expects="marked marked equal", daily="administrator"),
    "posts and categories are not public": Variant(rest("register_post_type_args", "return 'post' === $slug ? array( 'public' => false ) + $it : $it;", "$it, $slug")
        + rest("register_taxonomy_args", "return 'category' === $slug ? array( 'public' => false ) + $it : $it;", "$it, $slug")),
    "posts are hidden from REST": Variant(rest("register_post_type_args", "return 'post' === $slug ? array( 'show_in_rest' => false ) + $it : $it;", "$it, $slug"), expects="marked equal equal"),
    "media are not public": Variant(rest("register_post_type_args", "return 'attachment' === $slug ? array( 'public' => false ) + $it : $it;", "$it, $slug"), expects="unknowable equal equal", unknowable="attachments are in REST, public or not, and the search never names them", daily="stranger administrator"),
    "media are hidden from REST": Variant(rest("register_post_type_args", "return 'attachment' === $slug ? array( 'show_in_rest' => false ) + $it : $it;", "$it, $slug"), expects="marked marked equal", daily="administrator"),
    "no post formats": Variant("add_action( 'init', static fn() => unregister_taxonomy( 'post_format' ), 99 );"),
    "types of REST alone": Variant("if ( str_contains( $_SERVER['REQUEST_URI'] ?? '', 'wp-json' ) ) {" + types(alpha="") + "}", expects="unknowable unknowable unknowable", unknowable="PHP says one thing in REST requests and another elsewhere"),
    "types of the admin alone": Variant("if ( is_admin() ) {" + types(alpha="") + "}"),
    "a public status of its own": Variant("add_action( 'init', static fn() => register_post_status( 'expired', array( 'public' => true ) ) );"),
    "fifty more types": Variant(types(**{f"q{number}": "" for number in range(50)})),
    # --- what plugins do to REST's answers ---
    "entries without their names": Variant(rest("rest_prepare_post_type", "$data = $it->get_data(); unset( $data['name'], $data['labels'] ); $it->set_data( $data ); return $it;")
        + rest("rest_prepare_taxonomy", "$data = $it->get_data(); unset( $data['name'] ); $it->set_data( $data ); return $it;"), expects="marked marked equal", daily="administrator"),
    "entries without their bases": Variant(types(alpha="'rest_base' => 'beta'", beta="'rest_base' => 'gamma'")
        + rest("rest_prepare_post_type", "$data = $it->get_data(); unset( $data['rest_base'] ); $it->set_data( $data ); return $it;"), expects="marked marked equal"),
    "entries without their namespaces": Variant(types(alpha="'rest_namespace' => 'acme/v1', 'rest_base' => 'books'", book="'rest_base' => 'books'")
        + rest("rest_prepare_post_type", "$data = $it->get_data(); unset( $data['rest_namespace'] ); $it->set_data( $data ); return $it;")),
    "one entry is no entry": Variant(types(alpha="") + rest("rest_prepare_post_type", "return 'alpha' === $type->name ? new WP_REST_Response( 'gone' ) : $it;", "$it, $type"), expects="marked equal equal"),
    "every entry is no entry": Variant(rest("rest_prepare_post_type", "return new WP_REST_Response( null );"), expects="marked marked equal"),
    "one entry is left out": Variant(types(alpha="") + rest("rest_post_dispatch", "if ( '/wp/v2/types' === $request->get_route() ) { $data = $it->get_data(); unset( $data['alpha'] ); $it->set_data( $data ); } return $it;", "$it, $server, $request"), expects="marked equal equal"),
    "an entry under another name": Variant(types(alpha="") + rest("rest_post_dispatch", "if ( '/wp/v2/types' === $request->get_route() ) { $data = $it->get_data(); $data['omega'] = $data['alpha']; unset( $data['alpha'] ); $it->set_data( $data ); } return $it;", "$it, $server, $request"), expects="marked equal equal"),
    "listings as lists": Variant(rest("rest_post_dispatch", "if ( in_array( $request->get_route(), array( '/wp/v2/types', '/wp/v2/taxonomies' ), true ) ) { $it->set_data( array_values( (array) $it->get_data() ) ); } return $it;", "$it, $server, $request"), expects="marked marked equal"),
    "an index without namespaces": Variant(rest("rest_index", "$data = $it->get_data(); $data['namespaces'] = array(); $it->set_data( $data ); return $it;")),
    "an index without its home": Variant(rest("rest_index", "$data = $it->get_data(); unset( $data['home'] ); $it->set_data( $data ); return $it;")),
    "an index without its address": Variant(rest("rest_index", "$data = $it->get_data(); unset( $data['url'] ); $it->set_data( $data ); return $it;")),
    "an index with an empty address": Variant(rest("rest_index", "$data = $it->get_data(); $data['url'] = ''; $it->set_data( $data ); return $it;")),
    "an index without routes": Variant(rest("rest_index", "$data = $it->get_data(); unset( $data['routes'] ); $it->set_data( $data ); return $it;")),
    "an index with nothing": Variant(rest("rest_index", "$it->set_data( array() ); return $it;")),
    "an index of another scheme": Variant(rest("rest_index", "$data = $it->get_data(); $data['home'] = str_replace( 'http:', 'https:', $data['home'] ); $it->set_data( $data ); return $it;")),
    "a search of posts alone": Variant(rest("rest_endpoints", "foreach ( $it['/wp/v2/search'] ?? array() as $key => $one ) { if ( is_int( $key ) ) { $it['/wp/v2/search'][ $key ]['args']['subtype']['items']['enum'] = array( 'post', 'page', 'any' ); } } return $it;")),
    "no search": Variant(rest("rest_endpoints", "unset( $it['/wp/v2/search'] ); return $it;"), expects="marked equal equal"),
    "no search, and posts are not public": Variant(rest("rest_endpoints", "unset( $it['/wp/v2/search'] ); return $it;") + rest("register_post_type_args", "return 'post' === $slug ? array( 'public' => false ) + $it : $it;", "$it, $slug"), expects="marked equal equal", daily="administrator"),
    "search for who is logged in": Variant(rest("rest_pre_dispatch", "return str_starts_with( $request->get_route(), '/wp/v2/search' ) && ! is_user_logged_in() ? new WP_Error( 'rest_forbidden', 'No.', array( 'status' => 401 ) ) : $it;", "$it, $server, $request"), expects="marked equal equal"),
    "search finds nothing": Variant(rest("rest_post_search_query", "$it['post__in'] = array( 0 ); return $it;"), daily="administrator"),
    "a collection that hides items": Variant(rest("rest_book_query", HIDES_FROM % "book"), expects="unknowable equal equal", unknowable="the sum is compared for a login, and by wpsa check", daily="stranger administrator"),
    "a collection that hides items from strangers": Variant(rest("rest_book_query", "if ( is_user_logged_in() ) { return $it; } " + HIDES_FROM % "book"), expects="unknowable equal equal", unknowable="the sum is compared for a login, and by wpsa check"),
    "every query hides items": Variant("add_filter( 'posts_where', static fn( $where ) => defined( 'REST_REQUEST' ) ? \"$where AND post_title NOT IN ( 'book 1', 'book 2' )\" : $where );", expects="unknowable unknowable unknowable", unknowable="the search hides the same items"),
    "the rows are not counted": Variant("add_action( 'pre_get_posts', static fn( $query ) => $query->set( 'no_found_rows', true ) );"),
    "totals are stale": Variant(rest("found_posts", "return 42;"), expects="unknowable marked marked", unknowable="each total agrees with its own pages", daily="stranger administrator"),
    "no totals": Variant(rules="header_register_callback( static function () { header_remove( 'X-WP-Total' ); header_remove( 'X-WP-TotalPages' ); } );"),
    "totals of zero": Variant(rules="header_register_callback( static function () { header( 'X-WP-Total: 0' ); } );"),
    "totals twice": Variant(rules="header_register_callback( static function () { header( 'X-WP-Total: 42', false ); } );"),
    "totals of one page": Variant(rules="header_register_callback( static function () { if ( headers_list() && preg_grep( '~^x-wp-total:~i', headers_list() ) ) { header( 'X-WP-Total: 1' ); } } );"),
    "totals and envelopes lost": Variant(rest("rest_post_dispatch", "$headers = $it->get_headers(); unset( $headers['X-WP-Total'], $headers['X-WP-TotalPages'] ); $it->set_headers( $headers ); return $it;", "$it, $server, $request"), expects="marked equal equal"),
    "at least ten a page": Variant(rest("rest_book_query", "$it['posts_per_page'] = 10; return $it;")),
    "no more than twenty a page, and no totals": Variant(rest("rest_post_collection_params", "$it['per_page']['maximum'] = 20; return $it;") + rest("rest_post_dispatch", "$headers = $it->get_headers(); unset( $headers['X-WP-Total'], $headers['X-WP-TotalPages'] ); $it->set_headers( $headers ); return $it;", "$it, $server, $request"), expects="marked equal equal"),
    "no _fields": Variant(rules=at("_fields=", FORBIDDEN), daily="stranger administrator"),
    "no _fields for collections": Variant(rules=at("per_page=.*_fields=", FORBIDDEN)),
    "_fields are taken out": Variant(rules="unset( $_GET['_fields'], $_REQUEST['_fields'] );"),
    "no _fields, and no totals": Variant(rules=at("_fields=", FORBIDDEN) + "header_register_callback( static function () { header_remove( 'X-WP-Total' ); header_remove( 'X-WP-TotalPages' ); } );"),
    "no _fields for WordPress": Variant(rest("rest_pre_dispatch", "return isset( $_GET['_fields'] ) ? new WP_Error( 'rest_invalid_param', 'No.', array( 'status' => 400 ) ) : $it;", "$it, $server, $request")),
    "no query at all": Variant(rules="if ( str_contains( $_SERVER['REQUEST_URI'], '/wp-json/' ) && ! empty( $_GET ) ) { " + FORBIDDEN + " return true; }"),
    "all in a wrapper": Variant(rest("rest_post_dispatch", "$it->set_data( array( 'success' => true, 'data' => $it->get_data() ) ); return $it;", "$it, $server, $request"), expects="marked marked equal"),
    # --- who may ask ---
    "closed to strangers": Variant(CLOSED, expects="marked equal equal", daily="stranger administrator"),
    "closed to strangers, no sitemap": Variant(CLOSED + "add_filter( 'wp_sitemaps_enabled', '__return_false' );", expects="refused equal equal"),
    "closed to strangers, header stripped": Variant(CLOSED, STRIPPED, expects="marked marked equal", daily="administrator"),
    "closed to strangers, header stripped, no sitemap": Variant(CLOSED + "add_filter( 'wp_sitemaps_enabled', '__return_false' );", STRIPPED, expects="refused marked equal", daily="administrator"),
    "closed to strangers, header stripped, no XML-RPC": Variant(CLOSED + "add_filter( 'xmlrpc_enabled', '__return_false' );", STRIPPED, expects="marked marked marked", daily="administrator"),
    "closed to everybody": Variant(CLOSED_FOR_ALL, expects="marked marked equal", daily="stranger administrator"),
    "closed to everybody, hidden types": Variant(CLOSED_FOR_ALL + types(alpha="'show_in_rest' => false") + taxonomies(color="'show_in_rest' => false"), expects="marked marked equal", daily="administrator"),
    "closed but for the posts": Variant(rest("rest_pre_dispatch", "return is_user_logged_in() || str_starts_with( $request->get_route(), '/wp/v2/posts' ) ? $it : new WP_Error( 'rest_login_required', 'No.', array( 'status' => 401 ) );", "$it, $server, $request"), expects="marked equal equal"),
    "just the index is closed": Variant(rest("rest_pre_dispatch", "return is_user_logged_in() || '/' !== $request->get_route() ? $it : new WP_Error( 'rest_login_required', 'No.', array( 'status' => 401 ) );", "$it, $server, $request"), daily="stranger administrator"),
    "users are closed": Variant(rest("rest_pre_dispatch", "return str_starts_with( $request->get_route(), '/wp/v2/users' ) ? new WP_Error( 'rest_user_cannot_view', 'No.', array( 'status' => 403 ) ) : $it;", "$it, $server, $request"), daily="administrator"),
    "users are closed, no XML-RPC": Variant("add_filter( 'xmlrpc_enabled', '__return_false' );" + rest("rest_pre_dispatch", "return str_starts_with( $request->get_route(), '/wp/v2/users' ) ? new WP_Error( 'rest_user_cannot_view', 'No.', array( 'status' => 403 ) ) : $it;", "$it, $server, $request"), daily="administrator"),
    "header stripped": Variant(rules=STRIPPED, daily="administrator"),
    "passwords off": Variant("add_filter( 'wp_is_application_passwords_available', '__return_false' );", daily="administrator"),
    "passwords off for the user": Variant("add_filter( 'wp_is_application_passwords_available_for_user', '__return_false' );", daily="administrator"),
    "passwords are for REST alone": Variant("add_filter( 'application_password_is_api_request', static fn() => defined( 'REST_REQUEST' ) );", daily="administrator"),
    "two factors": Variant(rest("authenticate", "return defined( 'XMLRPC_REQUEST' ) ? new WP_Error( 'two_factor', 'XML-RPC needs a second factor.' ) : $it;"), daily="administrator"),
    "XML-RPC off": Variant("add_filter( 'xmlrpc_enabled', '__return_false' );" + types(alpha="'show_in_rest' => false") + taxonomies(color="'show_in_rest' => false"), expects="marked marked marked", daily="administrator"),
    "no multicall for the firewall": Variant(types(alpha="'show_in_rest' => false") + taxonomies(color="'show_in_rest' => false"), at("system.multicall", FORBIDDEN), expects="marked equal equal", daily="administrator"),
    "no users' blogs": Variant(rest("xmlrpc_methods", "unset( $it['wp.getUsersBlogs'], $it['system.multicall'] ); return $it;") + types(alpha="'show_in_rest' => false"), expects="marked equal equal", daily="administrator"),
    "no users' blogs for the firewall, nor multicall": Variant(types(alpha="'show_in_rest' => false"), at("system.multicall|getUsersBlogs", FORBIDDEN), expects="marked equal equal", daily="administrator"),
    "OPTIONS are refused": Variant(rules="if ( 'OPTIONS' === $_SERVER['REQUEST_METHOD'] ) { http_response_code( 405 ); return true; }"),
    "administrators may less": Variant(rest("user_has_cap", "unset( $it['edit_pages'] ); return $it;"), daily="administrator"),
    # --- sitemaps ---
    "no sitemap, hidden types": Variant("add_filter( 'wp_sitemaps_enabled', '__return_false' );" + types(alpha="'show_in_rest' => false"), expects="marked marked equal"),
    "a sitemap of two a page": Variant("add_filter( 'wp_sitemaps_max_urls', static fn() => 2 );" + types(alpha="'show_in_rest' => false"), expects="marked equal equal"),
    "a sitemap without a type": Variant(rest("wp_sitemaps_post_types", "unset( $it['alpha'] ); return $it;") + types(alpha="'show_in_rest' => false"), expects="marked marked equal"),
    "a sitemap with too much": Variant(rest("wp_sitemaps_post_types", "$it['alpha'] = get_post_type_object( 'alpha' ); return $it;") + types(alpha="'public' => false, 'publicly_queryable' => true, 'show_in_rest' => false"), expects="unknowable unknowable equal", unknowable="core's sitemap lists what is public and nothing else, unless a plugin adds to it"),
    "a sitemap that leaves items out": Variant(rest("wp_sitemaps_posts_query_args", "if ( 'alpha' === $type ) { " + HIDES_FROM % "alpha" + " } return $it;", "$it, $type") + types(alpha="'show_in_rest' => false"), expects="marked marked equal"),
    "closed, a page as the front page": Variant(CLOSED + rest("pre_option_show_on_front", "return 'page';") + rest("pre_option_page_on_front", "return (string) ( get_page_by_path( 'page-1' )->ID ?? 0 );"), expects="marked equal equal"),
    "closed, the first page as the front page": Variant(CLOSED + rest("pre_option_show_on_front", "return 'page';") + rest("pre_option_page_on_front", "return '2';"), expects="marked equal equal"),
    "closed, posts as the front page": Variant(CLOSED, expects="marked equal equal"),
    # --- bytes ---
    "a mark in front": Variant(rules="echo \"\\xEF\\xBB\\xBF\";"),
    "notices in front": Variant("echo '<br /><b>Notice</b>: Undefined index: {x} in [file] on line <b>3</b><br />';"),
    "a dump in front": Variant("echo json_encode( array( 'debug' => array( 1, 2, 3 ) ) );"),
    "several marks in front": Variant(rules="echo str_repeat( \"\\xEF\\xBB\\xBF\", 3 ), \"\\n\";"),
    "a footer behind": Variant("register_shutdown_function( static function () { echo '</div></body></html>'; } );", expects="refused refused refused"),
    "packed twice": Variant(rules="ob_start( static fn( $it ) => gzencode( gzencode( $it ) ) ); header( 'Content-Encoding: gzip, gzip' );", expects="refused refused refused"),
    "rubbish behind": Variant("register_shutdown_function( static function () { echo 'Query took 0.5 s'; } );", expects="refused refused refused"),
    "a comment behind": Variant("register_shutdown_function( static function () { echo '<!-- cached -->'; } );"),
    "gzip whether asked for or not": Variant(rules="ini_set( 'zlib.output_compression', '1' ); $_SERVER['HTTP_ACCEPT_ENCODING'] = 'gzip';"),
    "a page's content type": Variant(rest("rest_pre_serve_request", "header( 'Content-Type: text/html' ); return $it;")),
    # --- addresses ---
    "plain permalinks": Variant(rest("pre_option_permalink_structure", "return '';")),
    "another prefix": Variant("add_filter( 'rest_url_prefix', static fn() => 'api/rest' );" + "add_filter( 'pre_option_rewrite_rules', '__return_empty_string' );"),
    "a home with a slash": Variant(rest("option_home", "return $it . '/';")),
    "routes with a slash behind": Variant(rules="$path = strtok( $_SERVER['REQUEST_URI'], '?' ); if ( str_contains( $path, '/wp-json' ) && ! str_ends_with( $path, '/' ) ) {"
        " header( 'Location: ' . str_replace( $path, \"$path/\", $_SERVER['REQUEST_URI'] ), true, 301 ); return true; }"),
    "the REST root with a language": Variant(rest("rest_url", "return add_query_arg( 'lang', 'en', $it );")),
    "maintenance": Variant(rules="header( 'Retry-After: 600' ); http_response_code( 503 ); echo 'Briefly unavailable'; return true;", expects="refused refused refused"),
    "the database is away": Variant(rules="http_response_code( 500 ); echo '<h1>Error establishing a database connection</h1>'; return true;", expects="refused refused refused"),
    "a coming soon page": Variant("add_action( 'template_redirect', static function () { status_header( 503 ); echo 'Soon'; exit; } );", plain="refused refused refused"),
}
