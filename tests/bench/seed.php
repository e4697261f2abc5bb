<?php
/** 3,000 posts, and some content in each of the other types and taxonomies. $arguments: posts. */

global $wpdb;

$now    = gmdate( 'Y-m-d H:i:s' );
$public = array_values( get_post_types( array( 'public' => true ) ) );
$wpdb->query( 'START TRANSACTION' );
foreach ( $public as $position => $type ) {
	$already = (int) ( (array) wp_count_posts( $type ) )['publish'];
	$wanted  = 'post' === $type ? $arguments['posts'] : 12 + 17 * $position;
	for ( $number = $already; $number < $wanted; $number++ ) {
		$wpdb->insert(
			$wpdb->posts,
			array(
				'post_title'        => "A $type with number $number",
				'post_name'         => "$type-$number",
				'post_content'      => str_repeat( "Some words about this $type. ", 40 ),
				'post_type'         => $type,
				'post_status'       => 'attachment' === $type ? 'inherit' : ( $number % 40 === 39 && 'post' !== $type ? 'draft' : 'publish' ),
				'post_author'       => 1,
				'post_date'         => $now,
				'post_date_gmt'     => $now,
				'post_modified'     => $now,
				'post_modified_gmt' => $now,
				'guid'              => home_url( "/?p=$type-$number" ),
				'post_mime_type'    => 'attachment' === $type ? 'image/jpeg' : '',
			) + array( 'post_excerpt' => '', 'to_ping' => '', 'pinged' => '', 'post_content_filtered' => '' )
		);
	}
}

foreach ( array_values( get_taxonomies( array( 'public' => true, 'show_in_rest' => true ) ) ) as $position => $taxonomy ) {
	for ( $number = 0; $number < 8 + 5 * $position; $number++ ) {
		$term = wp_insert_term( "A $taxonomy with number $number", $taxonomy );
		if ( is_wp_error( $term ) ) {
			throw new RuntimeException( $term->get_error_message() );
		}
	}
}
$wpdb->query( 'COMMIT' );
wp_cache_flush();

$posts = get_posts( array( 'numberposts' => 300, 'fields' => 'ids' ) );
foreach ( $posts as $position => $post ) {
	wp_set_object_terms( $post, "a-category-with-number-" . $position % 8, 'category' );
	wp_set_object_terms( $post, "a-post_tag-with-number-" . $position % 13, 'post_tag' );
}
foreach ( array( 'quote', 'video', 'gallery' ) as $position => $format ) {
	set_post_format( $posts[ $position ], $format );
}
