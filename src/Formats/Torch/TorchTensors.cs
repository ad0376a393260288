using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// Reads the records of tensors: views of storages, and the parts of those that are more than one. What has no bytes is
/// noted by name. Not safe for several threads.
/// </summary>
/// <param name="file">The file, for messages.</param>
/// <param name="records">The roles of globals.</param>
/// <param name="storages">The storages of the file.</param>
/// <param name="values">Reads what is no tensor.</param>
/// <param name="arrays">Reads arrays of NumPy.</param>
/// <param name="wrappers">Finds what parameters hold.</param>
/// <param name="findings">Takes what is found.</param>
/// <param name="maximumExpandedBytes">The most bytes of a tensor's elements side by side, where its storage has fewer.</param>
internal sealed class TorchTensors(
    CheckpointFile file,
    TorchRecord records,
    TorchStorages storages,
    TorchValues values,
    TorchArrays arrays,
    TorchWrappers wrappers,
    TorchFindings findings,
    long maximumExpandedBytes)
{
    // What a step into a part counts: parts may lie in one another, and be named often.
    private const int StepBytes = 16;

    // Pickles of tensors saved with pickle.dump hold a whole file of torch.save for each storage.
    private const string Elsewhere = "tensors whose storages are not in the file's own form (saved with pickle.dump?); save them with torch.save";

    /// <summary>Reads a record of a tensor, if it is one.</summary>
    /// <param name="record">The record.</param>
    /// <param name="path">Where it is.</param>
    /// <returns>Whether it is one: it has then been added or noted.</returns>
    public bool Read(PickleObject record, TorchPath path) => Read(record.Global, record.Arguments, record, path);

    /// <summary>A storage that stands in the pickle by itself: one dimension of all its elements.</summary>
    public void Read(PickleStorageReference reference, TorchPath path)
    {
        var (id, storage) = Resolve(reference, path);
        var dtype = id.DType ?? TorchDType.Byte;
        Add(dtype, new TorchView(id.ViewOffset, [id.ViewLength ?? (id.ByteLength / dtype.Size)], [1]).Over(dtype, storage, records, path));
    }

    private bool Read(PickleGlobal global, PickleTuple arguments, PickleObject? record, TorchPath path)
    {
        switch (records.RoleOf(global))
        {
            case TorchRole.Tensor:
                ReadView(global, arguments, null, metadataAt: 6, path);
                return true;
            case TorchRole.TypedTensor:
                ReadView(global, arguments, DTypeOf(Argument(6), path), metadataAt: 7, path);
                return true;
            case TorchRole.QuantisedTensor:
                ReadQuantised(global, arguments, path);
                return true;
            case TorchRole.SparseTensor:
                ReadSparse(Argument(0), Argument(1), path);
                return true;
            case TorchRole.NestedTensor:
                AddValue(path, "layout", "torch.nested");
                ReadParts(arguments.Items, ["buffer", "sizes", "strides", "storage_offsets"], path);
                return true;
            case TorchRole.Array or TorchRole.ArrayOfBuffer when record is not null:
                if (arrays.Read(record, path) is { } array)
                {
                    findings.Add(array);
                }

                return true;
            case TorchRole.TensorOfArray or TorchRole.TensorOfTensor:
                // What it was on its device; the bytes are those of the host, which may be wider.
                AddValue(path, "dtype", DTypeOf(Argument(1), path).ToString());
                ReadPart(Argument(0), path);
                return true;
            case TorchRole.TensorOfType:
                if (Argument(0) is not PickleGlobal function || Argument(2) is not PickleTuple inner || records.RoleOf(function) == TorchRole.TensorOfType)
                {
                    throw records.Invalid(path, "a tensor of a class of its own has no function that makes it");
                }

                if (records.RoleOf(function) == TorchRole.Parameter && inner.Items is [var parameter, ..])
                {
                    ReadPart(parameter, path);
                }
                else if (!Read(function, inner, null, path))
                {
                    findings.Omit(path, $"tensors of a class of their own, made by {Quoted.Name(function.FullName)}");
                }

                return true;
            case TorchRole.NoData:
                findings.Omit(path, "tensors without data (of the meta device, or wrapped around others)");
                return true;
            default:
                return false;
        }

        object Argument(int index) => records.Argument(global, arguments, index, path);
    }

    private void ReadView(PickleGlobal global, PickleTuple arguments, TorchDType? given, int metadataAt, TorchPath path)
    {
        var source = records.Argument(global, arguments, 0, path);
        if (source is PickleObject)
        {
            findings.Omit(path, Elsewhere);
            return;
        }

        if (arguments.Items.Length > metadataAt && arguments.Items[metadataAt] is PickleDictionary { Entries: { } marks })
        {
            RefuseLazy(marks, path);
        }

        var (id, storage, view) = ViewOf(global, arguments, path);
        var dtype = given ?? id.DType ?? TorchDType.Byte;
        if (dtype.PerByte > 1)
        {
            AddPacked(dtype, view, storage, path);
            return;
        }

        Add(dtype, (view with { Offset = InElements(view.Offset, id, path) }).Over(dtype, storage, records, path));
    }

    // PyTorch conjugates and negates lazily and saves only that it would have.
    private void RefuseLazy(List<KeyValuePair<object, object>> marks, TorchPath path)
    {
        foreach (var (key, value) in marks)
        {
            if (key is "conj" or "neg" && value is true)
            {
                throw new UnsupportedCheckpointException(
                    "conjugate or negative views",
                    file.Path,
                    "it was saved as the conjugate or the negative of what is stored, which this version does not compute; "
                    + "save it again after tensor.resolve_conj().resolve_neg().",
                    TorchConstants.Format,
                    path.Name);
            }
        }
    }

    private void ReadQuantised(PickleGlobal global, PickleTuple arguments, TorchPath path)
    {
        if (records.Argument(global, arguments, 0, path) is PickleObject)
        {
            findings.Omit(path, Elsewhere);
            return;
        }

        if (records.Argument(global, arguments, 4, path) is not PickleTuple { Items: [PickleGlobal scheme, .. var parameters] }
            || records.RoleOf(scheme) != TorchRole.Name)
        {
            throw records.Invalid(path, "a quantised tensor has no scheme");
        }

        var (id, storage, view) = ViewOf(global, arguments, path);
        var dtype = id.DType ?? TorchDType.Byte;
        if (dtype.PerByte > 1)
        {
            AddPacked(dtype, view, storage, path);
        }
        else
        {
            Add(dtype, (view with { Offset = InElements(view.Offset, id, path) }).Over(dtype, storage, records, path));
        }

        AddValue(path, "qscheme", scheme.FullName);
        var names = parameters.Length == 2
            ? (string[])["q_scale", "q_zero_point"]
            : ["q_per_channel_scales", "q_per_channel_zero_points", "q_per_channel_axis"];
        for (var i = 0; i < parameters.Length && i < names.Length; i++)
        {
            ReadPart(parameters[i], findings.Child(path, names[i]));
        }
    }

    private void ReadSparse(object layout, object data, TorchPath path)
    {
        var name = values.Plain(layout, path) as string ?? throw records.Invalid(path, "a sparse tensor has no layout");
        if (data is not PickleTuple { Items: { } parts })
        {
            throw records.Invalid(path, "a sparse tensor has no parts");
        }

        string[] names = name switch
        {
            "torch.sparse_coo" => ["indices", "values", "size", "is_coalesced"],
            "torch.sparse_csr" or "torch.sparse_bsr" => ["crow_indices", "col_indices", "values", "size"],
            "torch.sparse_csc" or "torch.sparse_bsc" => ["ccol_indices", "row_indices", "values", "size"],
            "torch.jagged" => ["values", "offsets", "lengths", "ragged_idx"],
            _ => throw records.Invalid(path, $"a sparse tensor has layout {Quoted.Name(name)}, which is not known"),
        };
        AddValue(path, "layout", name);
        ReadParts(parts, names, path);
    }

    private void ReadParts(object[] parts, string[] names, TorchPath path)
    {
        for (var i = 0; i < parts.Length && i < names.Length; i++)
        {
            ReadPart(parts[i], findings.Child(path, names[i]));
        }
    }

    // A part of a tensor: another, an array, or a plain value.
    private void ReadPart(object part, TorchPath path)
    {
        findings.Charge(StepBytes);
        part = wrappers.Inside(part);
        if (part is PickleObject record && Read(record, path))
        {
            return;
        }

        if (values.Plain(part, path) is not { } value)
        {
            throw records.Invalid(path, "a part of a tensor is neither a tensor nor a plain value");
        }

        findings.Add(path, value);
    }

    // PyTorch counts in logical elements of which several share a byte: only the bytes can be told as they are.
    private void AddPacked(TorchDType dtype, TorchView view, TorchStorage storage, TorchPath path)
    {
        try
        {
            var bytes = new Shape(view.Sizes).ElementCount / dtype.PerByte;
            if (bytes > storage.ByteLength)
            {
                throw records.Invalid(
                    path, $"it needs {bytes} bytes of a storage of {storage.ByteLength}", CheckpointErrorCode.StorageInvalid);
            }
        }
        catch (OverflowException)
        {
            throw records.Invalid(path, "its elements do not fit 64 bits", CheckpointErrorCode.SizeOverflow);
        }

        AddValue(path, "size", new TorchList([.. view.Sizes.Cast<object>()]));
        Add(dtype, new TorchView(0, [storage.ByteLength], [1]).Over(dtype, storage, records, path));
    }

    private void Add(TorchDType dtype, TorchFinding tensor)
    {
        if (!dtype.IsExact)
        {
            AddValue(tensor.Path, "dtype", dtype.ToString());
        }

        var bytes = tensor.DType.ByteCount(tensor.Shape.ElementCount);
        if (bytes > tensor.Storage.ByteLength && bytes > maximumExpandedBytes)
        {
            throw new CheckpointLimitException(
                $"size in bytes of tensor {Quoted.Name(tensor.Path.Name)}, which repeats the {tensor.Storage.ByteLength} bytes of its storage,",
                bytes,
                maximumExpandedBytes,
                $"{nameof(TorchLimits)}.{nameof(TorchLimits.MaximumExpandedBytes)}",
                file.Path,
                TorchConstants.Format);
        }

        findings.Add(tensor);
    }

    private (TorchStorageId Id, TorchStorage Storage, TorchView View) ViewOf(PickleGlobal global, PickleTuple arguments, TorchPath path)
    {
        if (records.Argument(global, arguments, 0, path) is not PickleStorageReference reference)
        {
            throw records.Invalid(path, "a tensor has no storage", CheckpointErrorCode.StorageInvalid);
        }

        var (id, storage) = Resolve(reference, path);
        var view = TorchView.Parse(
            records.Argument(global, arguments, 1, path),
            records.Argument(global, arguments, 2, path),
            records.Argument(global, arguments, 3, path),
            records,
            path);
        return (id, storage, view);
    }

    private (TorchStorageId Id, TorchStorage Storage) Resolve(PickleStorageReference reference, TorchPath path)
    {
        var id = TorchStorageId.Parse(reference, file, path.Name);
        var storage = storages.Find(id.Key, id.ByteLength, path.Name);
        findings.Locate(storage, id.Location);
        return (id, storage);
    }

    private long InElements(long offset, TorchStorageId id, TorchPath path)
    {
        try
        {
            return checked(offset + id.ViewOffset);
        }
        catch (OverflowException)
        {
            throw records.Invalid(path, "the storage offset does not fit 64 bits", CheckpointErrorCode.SizeOverflow);
        }
    }

    private TorchDType DTypeOf(object value, TorchPath path) =>
        value is PickleGlobal global && records.RoleOf(global) == TorchRole.DType && TorchDType.ByName.TryGetValue(global.Name, out var dtype)
            ? dtype
            : throw new InvalidCheckpointException(
                CheckpointErrorCode.UnknownDType,
                file.Path,
                $"its dtype is {(value is PickleGlobal other ? Quoted.Name(other.FullName) : "no dtype")}, and only those of PyTorch are known, such as torch.float32: "
                + "convert the tensor to one of them and save it again, or update this program if PyTorch has a new one.",
                TorchConstants.Format,
                tensor: path.Name);

    private void AddValue(TorchPath path, string key, object value) => findings.Add(findings.Child(path, key), value);
}
