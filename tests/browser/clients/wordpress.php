<?php
/**
 * WordPress and WooCommerce, as far as the plugin sees them, and one visit: a guest fills a cart and types an address
 * at the checkout. What the plugin sends goes out over real HTTP.
 */

define( 'ABSPATH', '/' );
define( 'STAGEPOST_HOST', getenv( 'INGEST' ) );
define( 'STAGEPOST_KEY', getenv( 'WRITE_KEY' ) );

$hooks = array();
function add_action( $name, $what ) {
	global $hooks;
	$hooks[ $name ][] = $what;
}
function do_action( $name, ...$with ) {
	global $hooks;
	foreach ( $hooks[ $name ] ?? array() as $what ) {
		$what( ...$with );
	}
}
function is_email( $text ) {
	return filter_var( $text, FILTER_VALIDATE_EMAIL );
}
function wp_json_encode( $value ) {
	return json_encode( $value );
}
function wp_generate_uuid4() {
	$hex = bin2hex( random_bytes( 16 ) );
	return preg_replace( '/(.{8})(.{4})(.{4})(.{4})(.{12})/', '$1-$2-$3-$4-$5', $hex );
}
function get_current_user_id() {
	return 0;
}
function get_woocommerce_currency() {
	return 'EUR';
}
function wp_get_attachment_url( $id ) {
	return $id ? "https://shop.example/$id.png" : false;
}
function wp_remote_post( $url, $request ) {
	$headers = array( 'Content-Type: application/x-www-form-urlencoded' ); // as WordPress has it, unless told
	foreach ( $request['headers'] as $name => $value ) {
		$headers[] = "$name: $value";
	}
	$http   = array( 'method' => 'POST', 'header' => $headers, 'content' => $request['body'], 'ignore_errors' => true );
	$answer = file_get_contents( $url, false, stream_context_create( array( 'http' => $http ) ) );
	echo "$answer\n";
}

class Session {
	private $kept = array();
	public function get( $name ) {
		return $this->kept[ $name ] ?? null;
	}
	public function set( $name, $value ) {
		$this->kept[ $name ] = $value;
	}
}
class Cart {
	public $lines = array();
	public function get_cart() {
		return $this->lines;
	}
}
class Product {
	public function get_sku() {
		return 'FERN-S';
	}
	public function get_name() {
		return 'Boston fern';
	}
	public function get_price() {
		return '24.90';
	}
	public function get_permalink() {
		return 'https://shop.example/fern';
	}
	public function get_image_id() {
		return 7;
	}
}
class Customer {
	public function get_billing_email() {
		return '';
	}
}
class WooCommerce {
	public $session;
	public $cart;
	public $customer;
}
$woocommerce           = new WooCommerce();
$woocommerce->session  = new Session();
$woocommerce->cart     = new Cart();
$woocommerce->customer = new Customer();
function WC() {
	return $GLOBALS['woocommerce'];
}

require $argv[1];

do_action( 'woocommerce_cart_updated' ); // nothing in it: nothing is told

$woocommerce->cart->lines['a'] = array( 'data' => new Product(), 'product_id' => 93, 'variation_id' => 0, 'quantity' => 1 );
do_action( 'woocommerce_cart_updated' );
do_action( 'woocommerce_cart_updated' ); // another page: nothing has changed

$woocommerce->cart->lines['a']['quantity'] = 2;
do_action( 'woocommerce_cart_updated' );

$form = http_build_query( array( 'billing_email' => getenv( 'EMAIL' ), 'billing_city' => 'Berlin' ) );
do_action( 'woocommerce_checkout_update_order_review', $form );
do_action( 'woocommerce_checkout_update_order_review', $form );
