//! Random rows of an event log with every column, small enough that ids, times and values repeat.

#![allow(dead_code, unreachable_pub)] // each test program uses its part

use churn_core::TimeUnit;
use churn_core::events::{EventColumns, IdColumn, TextCells, TextColumn};
use proptest::prelude::*;

#[derive(Debug, Clone)]
pub struct Row {
    pub customer: u16,
    pub time: i64,
    pub kind: u8,
    pub value: u8,
    pub channel: u8,
    pub order: u8,
    pub item: u8,
}

pub fn rows(most: usize) -> impl Strategy<Value = Vec<Row>> {
    let row = (
        0..12_u16,
        0..8_i64,
        1..16_u8,
        0..3_u8,
        0..5_u8,
        0..4_u8,
        0..6_u8,
    )
        .prop_map(|(customer, time, kind, value, channel, order, item)| Row {
            customer,
            time,
            kind,
            value,
            channel,
            order,
            item,
        });
    proptest::collection::vec(row, 0..most)
}

/// The columns of some rows as owned cells, so that batches can be cut from them.
pub struct Cells {
    pub texts: Vec<String>,
    pub ints: Vec<i64>,
    pub times: Vec<i64>,
    pub kinds: Vec<u8>,
    pub values: Vec<f64>,
    pub channels: Vec<u32>,
    pub orders: Vec<String>,
    pub items: Vec<u64>,
}

pub const CHANNELS: [&str; 5] = ["", "email", "sms", "push", "phone"];

impl Cells {
    pub fn new(rows: &[Row]) -> Self {
        Cells {
            texts: rows.iter().map(|r| format!("c{}", r.customer)).collect(),
            ints: rows.iter().map(|r| i64::from(r.customer) - 4).collect(),
            times: rows.iter().map(|r| r.time).collect(),
            kinds: rows.iter().map(|r| r.kind).collect(),
            values: rows.iter().map(|r| f64::from(r.value) / 3.0).collect(),
            channels: rows.iter().map(|r| u32::from(r.channel)).collect(),
            orders: rows
                .iter()
                .map(|r| {
                    if r.order == 0 {
                        String::new()
                    } else {
                        format!("o{}", r.order)
                    }
                })
                .collect(),
            items: rows.iter().map(|r| u64::from(r.item)).collect(),
        }
    }

    pub fn with<T>(&self, text: bool, use_columns: impl FnOnce(&EventColumns<'_>) -> T) -> T {
        let texts: Vec<&str> = self.texts.iter().map(String::as_str).collect();
        let orders: Vec<&str> = self.orders.iter().map(String::as_str).collect();
        let ids: IdColumn<'_> = if text {
            (&texts).into()
        } else {
            (&self.ints).into()
        };
        let channels = TextColumn::from(TextCells::Coded {
            codes: self.channels.as_slice().into(),
            names: CHANNELS.iter().map(|n| (*n).into()).collect(),
        });
        let columns = EventColumns::new(ids, &self.times, TimeUnit::Day, &self.kinds)
            .with_values(&self.values)
            .with_channels(channels)
            .with_orders(&orders)
            .with_items(&self.items);
        use_columns(&columns)
    }
}
