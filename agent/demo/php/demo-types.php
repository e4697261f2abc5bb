<?php
/**
 * Plugin Name: Marginalia's content types
 * Description: What a bookshop's agency registers: ordinary types, and the cases that a careless reader gets wrong.
 */

add_action(
	'init',
	static function () {
		// A renamed collection: the type is `book`, its address is /wp/v2/library.
		register_post_type( 'book', marginalia_type( 'Books', 'Book', array( 'rest_base' => 'library', 'menu_icon' => 'dashicons-book' ) ) );
		// The label comes with an entity, as plugins write it.
		register_post_type( 'event', marginalia_type( 'Readings &amp; Events', 'Event', array( 'rest_base' => 'events' ) ) );
		register_post_type( 'recipe', marginalia_type( 'Café-Rezepte', 'Rezept' ) );
		register_post_type( 'reading_circle', marginalia_type( 'Lesekreise · 読書会', 'Lesekreis' ) );
		// A namespace of its own: /marginalia/v1/podcast instead of /wp/v2/podcast.
		register_post_type( 'podcast', marginalia_type( 'Podcast episodes', 'Episode', array( 'rest_namespace' => 'marginalia/v1' ) ) );
		// Public, but without pages of its own.
		register_post_type( 'testimonial', marginalia_type( 'Testimonials', 'Testimonial', array( 'publicly_queryable' => false ) ) );
		// In REST for the shop's own tools, but not public: it must not be reported.
		register_post_type( 'stock_note', marginalia_type( 'Stock notes', 'Stock note', array( 'public' => false ) ) );

		register_taxonomy( 'genre', 'book', marginalia_taxonomy( 'Genres', true ) );
		register_taxonomy( 'writer', 'book', marginalia_taxonomy( 'Writers', false, array( 'rest_base' => 'writers' ) ) );
		register_taxonomy( 'city', array( 'event', 'reading_circle' ), marginalia_taxonomy( 'Städte', true ) );
		register_taxonomy( 'course', 'recipe', marginalia_taxonomy( 'Gänge', true ) );
		register_taxonomy( 'shelf', 'book', marginalia_taxonomy( 'Shelves', false, array( 'public' => false ) ) );
	}
);

function marginalia_type( string $label, string $one, array $more = array() ): array {
	return $more + array(
		'labels'       => array(
			'name'          => $label,
			'singular_name' => $one,
		),
		'public'       => true,
		'show_in_rest' => true,
		'has_archive'  => true,
		'supports'     => array( 'title', 'editor', 'excerpt', 'thumbnail' ),
	);
}

function marginalia_taxonomy( string $label, bool $hierarchical, array $more = array() ): array {
	return $more + array(
		'labels'       => array( 'name' => $label ),
		'public'       => true,
		'show_in_rest' => true,
		'hierarchical' => $hierarchical,
	);
}
