<?php
/** A new application password of the user `$arguments['login']`. */

$user    = get_user_by( 'login', $arguments['login'] );
$created = WP_Application_Passwords::create_new_application_password( $user->ID, array( 'name' => $arguments['name'] ) );
if ( is_wp_error( $created ) ) {
	throw new RuntimeException( $created->get_error_message() );
}
echo wp_json_encode( array( 'password' => WP_Application_Passwords::chunk_password( $created[0] ) ) );
