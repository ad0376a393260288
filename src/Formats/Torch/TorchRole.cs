namespace IlgpuLoader.Formats.Torch;

/// <summary>What a global of the list stands for: how a record of its call is read. Nothing is ever called.</summary>
internal enum TorchRole
{
    /// <summary>Nothing that is known: the record is inert, and what it holds is looked through.</summary>
    Inert,
    /// <summary>A dict with an order, or one that counts.</summary>
    Dictionary,
    /// <summary><c>Parameter(tensor, …)</c> and its two functions: the first argument is the tensor.</summary>
    Parameter,
    /// <summary><c>_rebuild_tensor</c> and <c>_v2</c>: storage, offset, size, stride.</summary>
    Tensor,
    /// <summary><c>_rebuild_tensor_v3</c>: the same, and a dtype behind the hooks.</summary>
    TypedTensor,
    /// <summary><c>_rebuild_qtensor</c>: the same, and the quantiser's parameters.</summary>
    QuantisedTensor,
    /// <summary><c>_rebuild_sparse_tensor</c>: a layout and its parts.</summary>
    SparseTensor,
    /// <summary><c>_rebuild_nested_tensor</c>: a buffer and how its parts lie in it.</summary>
    NestedTensor,
    /// <summary><c>_rebuild_device_tensor_from_numpy</c>, also under XLA's name: an array and the dtype it had.</summary>
    TensorOfArray,
    /// <summary><c>_rebuild_device_tensor_from_cpu_tensor</c>: a tensor and the dtype it had.</summary>
    TensorOfTensor,
    /// <summary><c>_rebuild_from_type</c> and <c>_v2</c>: a function, a class, and the function's arguments.</summary>
    TensorOfType,
    /// <summary><c>_rebuild_meta_tensor_no_storage</c>, <c>_rebuild_wrapper_subclass</c>: a tensor without bytes.</summary>
    NoData,
    /// <summary><c>torch.Size</c>, <c>set</c>, TorchScript's lists: one argument with the items.</summary>
    Items,
    /// <summary><c>restore_type_tag(value, type)</c> of TorchScript: the value.</summary>
    Tagged,
    /// <summary><c>torch.device(type, index)</c>.</summary>
    Device,
    /// <summary><c>_get_layout(name)</c>.</summary>
    Layout,
    /// <summary><c>_codecs.encode(text, encoding)</c>: bytes, as protocols before 3 write them.</summary>
    Encode,
    /// <summary><c>bytearray</c> and <c>bytes</c>, of bytes or of text and an encoding.</summary>
    Bytes,
    /// <summary><c>complex(real, imaginary)</c>.</summary>
    Complex,
    /// <summary>A dtype.</summary>
    DType,
    /// <summary>A class of storages.</summary>
    Storage,
    /// <summary>A constant that is only its name: a layout, a memory format, a quantisation scheme.</summary>
    Name,
    /// <summary><c>_reconstruct</c>: an array, whose shape and bytes are its state.</summary>
    Array,
    /// <summary><c>_frombuffer(bytes, dtype, shape, order)</c>: an array, as protocol 5 writes it.</summary>
    ArrayOfBuffer,
    /// <summary><c>scalar(dtype, bytes)</c>.</summary>
    Scalar,
    /// <summary><c>dtype(name, …)</c> of NumPy.</summary>
    ArrayType,
}
