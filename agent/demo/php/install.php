<?php
/**
 * Install WordPress into an empty database, as its own web installer does, and print what came of it.
 *
 * $arguments: wp_load, url (where visitors go), core_url (where core's files are), title,
 * login, password, permalinks.
 */

define( 'WP_INSTALLING', true );
// wp_install() guesses the address of the site from the request; this is the address of core's files.
define( 'WP_SITEURL', $arguments['core_url'] );
require $arguments['wp_load'];
require_once ABSPATH . 'wp-admin/includes/upgrade.php';

wp_install(
	$arguments['title'],
	$arguments['login'],
	'admin@shop.example',
	true,
	'',
	wp_slash( $arguments['password'] )
);

update_option( 'siteurl', $arguments['core_url'] );
update_option( 'home', $arguments['url'] );
update_option( 'permalink_structure', $arguments['permalinks'] );
// Made anew at the next request, with the post types that must-use plugins register.
delete_option( 'rewrite_rules' );

echo wp_json_encode( array( 'version' => get_bloginfo( 'version' ) ) );
