//! Memory of the library as Arrow buffers, without copying.

use std::sync::Arc;

use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer, ToByteSlice};
use bytes::Bytes;

/// Numbers that stay where their owner has them and that live until the last buffer over them is
/// gone; nobody can write to them meanwhile, since an owner that is shared cannot be changed.
pub(super) fn shared<O, T>(owner: Arc<O>, numbers: fn(&O) -> &[T]) -> ScalarBuffer<T>
where
    O: Send + Sync + 'static,
    T: ArrowNativeType,
{
    let len = numbers(&owner).len();
    let bytes = Bytes::from_owner(Owned { owner, numbers });
    // Numbers in a slice are aligned as Arrow wants them.
    ScalarBuffer::new(Buffer::from(bytes), 0, len)
}

struct Owned<O, T> {
    owner: Arc<O>,
    numbers: fn(&O) -> &[T],
}

impl<O, T: ArrowNativeType> AsRef<[u8]> for Owned<O, T> {
    fn as_ref(&self) -> &[u8] {
        (self.numbers)(&self.owner).to_byte_slice()
    }
}
