<?php
/**
 * Plugin Name: Stagepost carts
 * Description: Tells Stagepost what is in a cart, and whose it is: WooCommerce has no webhooks for carts.
 * Version: 1.0
 * Requires Plugins: woocommerce
 *
 * Put this file into wp-content/plugins, the two lines into wp-config.php, and activate it:
 *
 *     define( 'STAGEPOST_HOST', 'https://events.shop.example' );
 *     define( 'STAGEPOST_KEY', 'YOUR_SERVER_KEY' );
 *
 * It tells the whole cart when it has changed, and who it is of: the account, or a guest's session, and the address as
 * soon as one is known. Orders come by WooCommerce's own webhooks.
 */

defined( 'ABSPATH' ) || exit;

/** Carts are saved on many pages without having changed. */
add_action( 'woocommerce_cart_updated', 'stagepost_tell_cart' );

/** The checkout's form, as it is filled in: both forms that WooCommerce has. */
add_action(
	'woocommerce_checkout_update_order_review',
	function ( $form ) {
		parse_str( $form, $fields );
		stagepost_remember_email( $fields['billing_email'] ?? '' );
	}
);
add_action(
	'woocommerce_store_api_cart_update_customer_from_request',
	function ( $customer ) {
		stagepost_remember_email( $customer->get_billing_email() );
	}
);

/** An order ends a cart; what is put in after it is another one. */
add_action(
	'woocommerce_thankyou',
	function () {
		if ( WC()->session ) {
			WC()->session->set( 'stagepost_cart', null );
		}
	}
);

function stagepost_remember_email( $email ) {
	if ( is_email( $email ) && WC()->session && WC()->session->get( 'stagepost_email' ) !== $email ) {
		WC()->session->set( 'stagepost_email', $email );
		stagepost_tell_cart();
	}
}

function stagepost_tell_cart() {
	if ( ! WC()->session || ! WC()->cart ) {
		return; // the admin's side, and cron
	}
	$cart     = WC()->session->get( 'stagepost_cart' );
	$products = array_map( 'stagepost_product', array_values( WC()->cart->get_cart() ) );
	if ( ! $cart && ! $products ) {
		return;
	}
	$cart = $cart ?: array( 'id' => wp_generate_uuid4() );
	$who  = array_filter(
		array(
			'user_id'    => (string) get_current_user_id(), // 0 is nobody, here and there
			'email'      => WC()->session->get( 'stagepost_email' ) ?: WC()->customer->get_billing_email(),
			'cart_token' => $cart['id'],
		)
	);
	$told = md5( wp_json_encode( array( $who, $products ) ) );
	if ( ( $cart['told'] ?? null ) === $told ) {
		return;
	}
	WC()->session->set( 'stagepost_cart', array( 'id' => $cart['id'], 'told' => $told ) );
	stagepost_send(
		array(
			'id'          => wp_generate_uuid4(),
			'name'        => 'Cart Updated',
			// To the microsecond: of two changes in one second the later has to come later.
			'occurred_at' => ( new DateTimeImmutable( 'now', new DateTimeZone( 'UTC' ) ) )->format( 'Y-m-d\TH:i:s.u\Z' ),
			'properties'  => array(
				'cart_id'  => $cart['id'],
				'currency' => get_woocommerce_currency(),
				'products' => $products,
			),
		) + $who
	);
}

function stagepost_product( $line ) {
	$product = $line['data'];
	return array(
		'product_id' => (string) $line['product_id'],
		'variant_id' => $line['variation_id'] ? (string) $line['variation_id'] : null,
		'sku'        => $product->get_sku(),
		'name'       => $product->get_name(),
		'price'      => (string) $product->get_price(),
		'quantity'   => (int) $line['quantity'],
		'url'        => $product->get_permalink(),
		'image_url'  => wp_get_attachment_url( $product->get_image_id() ) ?: null,
	);
}

/** Not waited for: a shop's page must not be slow because of us. The next change tells the whole cart again. */
function stagepost_send( $event ) {
	wp_remote_post(
		STAGEPOST_HOST . '/v1/events',
		array(
			'blocking' => false,
			'timeout'  => 2,
			'headers'  => array( 'X-Write-Key' => STAGEPOST_KEY ),
			'body'     => wp_json_encode( $event ),
		)
	);
}
