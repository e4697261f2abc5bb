<?php
/**
 * Run one script inside a WordPress and keep what it prints: php inside.php WP_LOAD SCRIPT RESULT < ARGUMENTS
 *
 * ARGUMENTS is a JSON object; the script finds it as $arguments. Only the script's own output is kept:
 * a site under test may print rubbish of its own before and after. Install scripts pass an empty
 * WP_LOAD and load WordPress themselves.
 */

$arguments = json_decode( (string) stream_get_contents( STDIN ), true, 64, JSON_THROW_ON_ERROR );
list( , $wpsa_load, $wpsa_script, $wpsa_result ) = $argv;

// Without this, WordPress answers a fatal error with a page for visitors and the cause is lost.
define( 'WP_DISABLE_FATAL_ERROR_HANDLER', true );

$wpsa_address = parse_url( $arguments['url'] );

$_SERVER['HTTP_HOST']       = $wpsa_address['host'] . ( isset( $wpsa_address['port'] ) ? ":{$wpsa_address['port']}" : '' );
$_SERVER['SERVER_NAME']     = $wpsa_address['host'];
$_SERVER['SERVER_PROTOCOL'] = 'HTTP/1.1';
$_SERVER['REQUEST_METHOD']  = 'GET';
$_SERVER['REQUEST_URI']     = ( $wpsa_address['path'] ?? '' ) . '/';
$_SERVER['REMOTE_ADDR']     = '127.0.0.1';

if ( '' !== $wpsa_load ) {
	require $wpsa_load;
	// What a logged-in administrator may do, the seeds may do: post formats, any status, any term.
	kses_remove_filters();
}

ob_start();
require $wpsa_script;
file_put_contents( $wpsa_result, ob_get_clean() );
