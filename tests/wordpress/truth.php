<?php
/**
 * WordPress's own answer, in the shape of the pushed document: the measure of every conformance test.
 *
 * `label` is decoded exactly once, `label_raw` is what the site registered. `statuses` and `hidden` are for
 * the tests only: what the agent must not count, and what anonymous REST does not show.
 */

// A plugin may put anything in the place of a label; what is no text is none.
$decode = static fn( $text ): string => is_scalar( $text ) ? html_entity_decode( (string) $text, ENT_QUOTES | ENT_HTML5, 'UTF-8' ) : '';

$post_types = array();
foreach ( get_post_types( array( 'public' => true ), 'objects' ) as $slug => $type ) {
	$counts              = array_map( 'intval', (array) wp_count_posts( $slug ) );
	$post_types[ $slug ] = array(
		'label'     => $decode( $type->label ),
		'label_raw' => $type->label,
		'count'     => $counts[ 'attachment' === $slug ? 'inherit' : 'publish' ],
		'statuses'  => array_filter( $counts ),
		'hidden'    => ! $type->show_in_rest,
	);
}

$taxonomies = array();
foreach ( get_taxonomies( array( 'public' => true ), 'objects' ) as $slug => $taxonomy ) {
	$taxonomies[ $slug ] = array(
		'label'     => $decode( $taxonomy->label ),
		'label_raw' => $taxonomy->label,
		'count'     => (int) wp_count_terms( array( 'taxonomy' => $slug, 'hide_empty' => false ) ),
		'hidden'    => ! $taxonomy->show_in_rest,
	);
}

echo wp_json_encode(
	array(
		'site_url'          => get_site_url(),
		'wordpress_version' => get_bloginfo( 'version' ),
		'post_types'        => (object) $post_types,
		'taxonomies'        => (object) $taxonomies,
	)
);
