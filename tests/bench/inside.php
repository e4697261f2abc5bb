<?php
/** What it costs inside WordPress: a web page that prints the truth, and how long loading and counting took. */

$start = hrtime( true );
require __DIR__ . '/wp-load.php';
$loaded = hrtime( true );

ob_start();
require __DIR__ . '/bench-truth.php';
$truth = ob_get_clean();

printf(
	'{"load_ms":%.3f,"count_ms":%.3f,"truth":%s}',
	( $loaded - $start ) / 1e6,
	( hrtime( true ) - $loaded ) / 1e6,
	$truth
);
