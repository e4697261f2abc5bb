<?php
/** The configuration of a throwaway site. A script may define a constant before: the first one counts. */

// CONSTANTS

// A throwaway site sends no mail: not at its installation, not for a new user or application password.
if ( ! function_exists( 'wp_mail' ) ) {
	function wp_mail() {
		return true;
	}
}

$table_prefix = 'wp_';

if ( ! defined( 'ABSPATH' ) ) {
	define( 'ABSPATH', __DIR__ . '/' );
}
require_once ABSPATH . 'wp-settings.php';
