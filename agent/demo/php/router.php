<?php
/**
 * The web server's rules for `php -S`: existing files are served, PHP files run, the rest is WordPress's.
 *
 * Everything runs in this one request, so that rules (`rules.php` beside the server's log) can change
 * what WordPress sees or sends: unset a request header, register a header callback, refuse a path.
 * A rules file that returns true has answered the request itself.
 */

// Answers "the server runs" without waking WordPress.
if ( '/.throwaway-ready' === $_SERVER['REQUEST_URI'] ) {
	header( 'Content-Type: text/plain' );
	echo getenv( 'WPSA_SERVER_ID' );
	return true;
}

file_put_contents(
	getenv( 'WPSA_REQUESTS' ),
	json_encode(
		array(
			'method'     => $_SERVER['REQUEST_METHOD'],
			'uri'        => $_SERVER['REQUEST_URI'],
			'authorized' => isset( $_SERVER['HTTP_AUTHORIZATION'] ),
			'user_agent' => $_SERVER['HTTP_USER_AGENT'] ?? '',
			'cookies'    => array_keys( $_COOKIE ),
		),
		JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE
	) . "\n",
	FILE_APPEND
);

if ( true === ( static function () {
	$rules = getenv( 'WPSA_RULES' );
	return $rules && is_file( $rules ) ? include $rules : null;
} )() ) {
	return true;
}

$wpsa_found = ( static function ( string $root ): ?array {
	$path = rawurldecode( (string) strtok( $_SERVER['REQUEST_URI'], '?' ) );
	$file = $root . $path;
	if ( str_contains( $path, '..' ) || str_contains( $path, "\0" ) ) {
		return null;
	}
	if ( preg_match( '~^(/.*?\.php)(/.*)$~', $path, $parts ) && is_file( $root . $parts[1] ) ) {
		return array( $parts[1], $parts[2] );
	}
	if ( is_file( $file ) ) {
		return array( $path, '' );
	}
	if ( is_file( rtrim( $file, '/' ) . '/index.php' ) ) {
		return array( rtrim( $path, '/' ) . '/index.php', '' );
	}
	$home = (string) getenv( 'WPSA_HOME_PATH' );
	return "$path/" === "$home/" || str_starts_with( $path, "$home/" ) ? array( "$home/index.php", '' ) : null;
} )( $_SERVER['DOCUMENT_ROOT'] );

if ( null === $wpsa_found ) {
	http_response_code( 404 );
	echo '<!doctype html><title>Not Found</title><h1>Not Found</h1><p>The requested URL was not found on this server.</p>';
	return true;
}
if ( ! str_ends_with( $wpsa_found[0], '.php' ) ) {
	return false;
}

// A folder's address without its slash: every web server sends the visitor to the one with it.
$wpsa_path = (string) strtok( $_SERVER['REQUEST_URI'], '?' );
if ( '/' !== substr( $wpsa_path, -1 ) && is_dir( $_SERVER['DOCUMENT_ROOT'] . rawurldecode( $wpsa_path ) ) ) {
	$wpsa_query = (string) ( $_SERVER['QUERY_STRING'] ?? '' );
	header( "Location: $wpsa_path/" . ( '' === $wpsa_query ? '' : "?$wpsa_query" ), true, 301 );
	return true;
}

$_SERVER['SCRIPT_NAME']     = $wpsa_found[0];
$_SERVER['SCRIPT_FILENAME'] = $_SERVER['DOCUMENT_ROOT'] . $wpsa_found[0];
$_SERVER['PHP_SELF']        = $wpsa_found[0] . $wpsa_found[1];
unset( $_SERVER['PATH_INFO'] );
if ( '' !== $wpsa_found[1] ) {
	$_SERVER['PATH_INFO'] = $wpsa_found[1];
}
chdir( dirname( $_SERVER['SCRIPT_FILENAME'] ) );
require $_SERVER['SCRIPT_FILENAME'];
