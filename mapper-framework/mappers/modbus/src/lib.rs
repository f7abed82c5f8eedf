#![doc = include_str!("../README.md")]

mod config;
mod cycle;
mod driver;
mod lines;
mod plan;
mod refusal;
mod registers;
mod values;
mod visitor;

pub use self::driver::Modbus;
pub use self::lines::Lines;
