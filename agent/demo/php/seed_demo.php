<?php
/** The content of the demo's bookshop, written in one transaction so that it takes less than a second. */

$titles = array(
	'book'           => array( 'The Salt Road', 'A Winter of Maps', 'Die Schneiderin von Triest', 'Letters to Nobody', 'The Ninth Orchard', 'Das Haus am Kanal', 'Small Gods of the Harbour', 'Cartography for Beginners' ),
	'event'          => array( 'An evening with Mara Lindqvist', 'Poetry on the terrace', 'Children’s story hour', 'Signing: The Salt Road', 'Nachtlesung' ),
	'recipe'         => array( 'Zimtschnecken', 'Käsekuchen wie früher', 'Crème brûlée', 'Linsensuppe', 'Apfelstrudel' ),
	'reading_circle' => array( 'Krimi am Dienstag', '村上を読む会', 'Feminist classics', 'Science & fiction' ),
	'podcast'        => array( 'What booksellers read', 'The translator’s chair', 'How a cover is made' ),
	'testimonial'    => array( 'Anna K.', 'Familie Özdemir', 'Tom & Jerry’s Diner', 'Stadtbibliothek' ),
	'stock_note'     => array( 'Reorder paperbacks', 'Damaged delivery' ),
	'post'           => array( 'New in the window', 'Our summer list', 'Why we close on Mondays', 'Five books about rivers' ),
	'page'           => array( 'About us', 'Opening hours', 'Gift cards', 'Contact', 'Imprint' ),
);

// type => status => how many, on top of what a fresh WordPress brings (a post, a page, a draft page).
$numbers = array(
	'book'           => array( 'publish' => 48, 'draft' => 5 ),
	'event'          => array( 'publish' => 15, 'future' => 2 ),
	'recipe'         => array( 'publish' => 23 ),
	'reading_circle' => array( 'publish' => 4 ),
	'podcast'        => array( 'publish' => 6, 'draft' => 1 ),
	'testimonial'    => array( 'publish' => 11, 'pending' => 1 ),
	'stock_note'     => array( 'publish' => 3 ),
	'post'           => array( 'publish' => 17, 'draft' => 3, 'private' => 1 ),
	'page'           => array( 'publish' => 6 ),
);

$terms = array(
	'category' => array( 'Shop news', 'Recommendations', 'Interviews', 'Behind the counter' ),
	'post_tag' => array( 'summer', 'winter', 'translation', 'debut', 'poetry', 'local', 'signed', 'prize', 'essay' ),
	'genre'    => array( 'Novel', 'Crime', 'Poetry', 'Essay', 'Travel', 'Children', 'Comics & Manga' ),
	'writer'   => array( 'Mara Lindqvist', 'José Álvarez', '川端 すみれ', 'Ngũgĩ Kamau', 'Ève Martin', 'O’Brien, Flann', 'Ада Левская', 'Lena Groß', 'Tariq Aziz', 'Ida Winter' ),
	'city'     => array( 'Köln', 'Zürich', 'Wien' ),
	'course'   => array( 'Vorspeise', 'Hauptgang', 'Dessert', 'Gebäck' ),
	'shelf'    => array( 'Window', 'Back room' ),
);

$media = array( 'shop-front', 'window-spring', 'mara-lindqvist', 'reading-room', 'zimtschnecken', 'team', 'logo', 'terrace', 'gift-card' );

global $wpdb;
$wpdb->query( 'START TRANSACTION' );
wp_defer_term_counting( true );
wp_defer_comment_counting( true );
wp_suspend_cache_invalidation( true );
remove_all_actions( 'transition_post_status' );
remove_all_actions( 'publish_post' );
remove_all_actions( 'post_updated' );
add_filter( 'wp_revisions_to_keep', '__return_zero' );
// Each title is used once per type, so each slug is; asking the database every time costs a quarter.
add_filter( 'pre_wp_unique_post_slug', static fn( $none, $slug ) => $slug, 10, 2 );
// Each insert looks for a trashed post of the same slug; there is none.
add_filter( 'posts_pre_query', '__return_empty_array' );

$term_ids = array();
foreach ( $terms as $taxonomy => $names ) {
	foreach ( $names as $name ) {
		$term_ids[ $taxonomy ][] = wp_insert_term( $name, $taxonomy )['term_taxonomy_id'];
	}
}

$inserted  = 0;
$published = array();
foreach ( $numbers as $type => $statuses ) {
	$i = 0;
	foreach ( $statuses as $status => $number ) {
		for ( $last = $i + $number; $i < $last; $i++ ) {
			$round = intdiv( $i, count( $titles[ $type ] ) );
			$title = $titles[ $type ][ $i % count( $titles[ $type ] ) ] . ( $round ? ', part ' . ( $round + 1 ) : '' );
			$days  = 'future' === $status ? 30 + $i : -2 * $i - 1;
			$id    = wp_insert_post(
				wp_slash(
					array(
						'post_type'     => $type,
						'post_status'   => $status,
						'post_title'    => $title,
						'post_content'  => "<!-- wp:paragraph --><p>$title: a few lines from the shop.</p><!-- /wp:paragraph -->",
						'post_excerpt'  => "$title, in one sentence.",
						'post_author'   => 1,
						'post_date'     => gmdate( 'Y-m-d H:i:s', time() + $days * DAY_IN_SECONDS ),
						'post_date_gmt' => gmdate( 'Y-m-d H:i:s', time() + $days * DAY_IN_SECONDS ),
					)
				),
				true
			);
			if ( is_wp_error( $id ) ) {
				throw new RuntimeException( $id->get_error_message() );
			}
			++$inserted;
			if ( 'publish' === $status ) {
				$published[ $type ][] = $id;
			}
		}
	}
}

$belongs = array( 'post' => array( 'category', 'post_tag' ), 'book' => array( 'genre', 'writer', 'shelf' ), 'event' => array( 'city' ), 'recipe' => array( 'course' ) );
foreach ( $belongs as $type => $taxonomies ) {
	foreach ( $taxonomies as $taxonomy ) {
		foreach ( $published[ $type ] as $position => $id ) {
			// wp_set_object_terms() asks four questions first; here each answer is known.
			$term = $term_ids[ $taxonomy ][ $position % count( $term_ids[ $taxonomy ] ) ];
			$wpdb->insert( $wpdb->term_relationships, array( 'object_id' => $id, 'term_taxonomy_id' => $term ) );
		}
		wp_update_term_count_now( $term_ids[ $taxonomy ], $taxonomy );
	}
}
foreach ( array( 'quote', 'video', 'gallery' ) as $position => $format ) {
	set_post_format( $published['post'][ $position ], $format );
}

foreach ( $media as $position => $name ) {
	$parent = $position < 3 ? $published['post'][ $position ] : 0;
	wp_insert_attachment( array( 'post_title' => $name, 'post_mime_type' => 'image/jpeg', 'post_author' => 1 ), "2026/11/$name.jpg", $parent, true );
	++$inserted;
}

wp_defer_term_counting( false );
wp_defer_comment_counting( false );
wp_suspend_cache_invalidation( false );
$wpdb->query( 'COMMIT' );
wp_cache_flush();
update_option( 'blogdescription', 'Books, coffee and conversation' );

echo wp_json_encode( array( 'items' => $inserted, 'terms' => array_sum( array_map( 'count', $terms ) ) ) );
