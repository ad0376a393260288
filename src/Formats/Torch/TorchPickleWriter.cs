using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// Writes the pickle of a dict of names and tensors with protocol 2 and nothing that <c>torch.load(weights_only=True)</c> refuses
/// (torch/_weights_only_unpickler.py). Not safe for several threads.
/// </summary>
internal sealed class TorchPickleWriter
{
    // As many as Python's own pickler puts on the stack at a time (_BATCHSIZE in Lib/pickle.py).
    private const int BatchSize = 1000;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    // The storage classes that hold the types that have one, by their names behind "torch.".
    private static readonly FrozenDictionary<DType, string> StorageOf = TorchDType.ByStorage
        .Where(storage => storage.Value is { IsExact: true })
        .ToFrozenDictionary(storage => storage.Value!.Type, storage => storage.Key);

    // Types that came with PyTorch 2.1 and later have no class of their own: they are bytes with a dtype beside them
    // (_dtype_to_storage_type_map and _new_dtypes in torch/storage.py).
    private static readonly FrozenDictionary<DType, string> NewTypes = TorchDType.ByName.Values
        .Where(dtype => dtype.IsExact && !StorageOf.ContainsKey(dtype.Type))
        .Distinct()
        .ToFrozenDictionary(dtype => dtype.Type, dtype => dtype.Name);

    private readonly ArrayBufferWriter<byte> _output;
    private readonly Dictionary<string, int> _memo = new(StringComparer.Ordinal);

    private TorchPickleWriter(int tensors) => _output = new ArrayBufferWriter<byte>(64 + (tensors * 160));

    /// <summary>The pickle of tensors that are contiguous and begin their storages.</summary>
    /// <param name="tensors">The tensors, in the order of the dict.</param>
    /// <param name="keys">The key of each tensor's storage.</param>
    public static ReadOnlyMemory<byte> Write(IReadOnlyList<TorchTensor> tensors, IReadOnlyList<int> keys)
    {
        var writer = new TorchPickleWriter(tensors.Count);
        writer.WriteDictionary(tensors, keys);
        return writer._output.WrittenMemory;
    }

    /// <summary>Whether PyTorch has a type.</summary>
    public static bool CanWrite(DType dtype) => StorageOf.ContainsKey(dtype) || NewTypes.ContainsKey(dtype);

    // A model has few shapes and many tensors: each tuple is written once, and made once by who reads it.
    private void WriteTupleOnce(ReadOnlySpan<long> numbers)
    {
        if (numbers.IsEmpty)
        {
            WriteTuple(numbers);
            return;
        }

        var key = KeyOf(numbers);
        if (!Recall(key))
        {
            WriteTuple(numbers);
            Memorise(key);
        }
    }

    // No text or global that is remembered looks so.
    private static string KeyOf(ReadOnlySpan<long> numbers)
    {
        var key = new StringBuilder("(");
        foreach (var number in numbers)
        {
            key.Append(CultureInfo.InvariantCulture, $"{number},");
        }

        return key.ToString();
    }

    private void WriteDictionary(IReadOnlyList<TorchTensor> tensors, IReadOnlyList<int> keys)
    {
        Write([0x80, 2]);
        Write("}"u8);
        // Storages that several tensors share are written once.
        var shared = keys.CountBy(key => key).Where(count => count.Value > 1).Select(count => count.Key).ToHashSet();
        for (var i = 0; i < tensors.Count; i++)
        {
            if (i % BatchSize == 0)
            {
                Write("("u8);
            }

            WriteText(tensors[i].Name);
            WriteTensor(tensors[i], keys[i], shared.Contains(keys[i]));
            if (i % BatchSize == BatchSize - 1 || i == tensors.Count - 1)
            {
                Write("u"u8);
            }
        }

        Write("."u8);
    }

    // What _reduce_ex_internal in torch/_tensor.py gives of a tensor without gradient and hooks.
    private void WriteTensor(TorchTensor tensor, int key, bool isShared)
    {
        var elements = tensor.Shape.ElementCount;
        var dtype = NewTypes.GetValueOrDefault(tensor.DType);
        WriteGlobal("torch._utils", dtype is null ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
        Write("("u8);
        var reference = string.Create(CultureInfo.InvariantCulture, $"#{key}");
        if (!isShared || !Recall(reference))
        {
            Write("("u8);
            WriteOnce("storage");
            WriteGlobal(dtype is null ? "torch" : "torch.storage", StorageOf.GetValueOrDefault(tensor.DType, "UntypedStorage"));
            WriteText(string.Create(CultureInfo.InvariantCulture, $"{key}"));
            WriteOnce("cpu");
            WriteNumber(dtype is null ? elements : tensor.DType.ByteCount(elements));
            Write("tQ"u8);
            if (isShared)
            {
                Memorise(reference);
            }
        }

        WriteNumber(0);
        WriteTupleOnce(tensor.Shape.Dimensions);
        WriteTupleOnce(Strides(tensor.Shape));
        Write([0x89]);
        WriteGlobal("collections", "OrderedDict");
        Write(")R"u8);
        if (dtype is not null)
        {
            WriteGlobal("torch", dtype);
        }

        Write("tR"u8);
    }

    // PyTorch's own of an empty tensor count a dimension of 0 as 1.
    private static long[] Strides(Shape shape)
    {
        var strides = new long[shape.Rank];
        long stride = 1;
        for (var i = shape.Rank - 1; i >= 0; i--)
        {
            strides[i] = stride;
            stride = checked(stride * Math.Max(1, shape[i]));
        }

        return strides;
    }

    private void WriteTuple(ReadOnlySpan<long> numbers)
    {
        if (numbers.Length is 0 or > 3)
        {
            Write(numbers.IsEmpty ? ")"u8 : "("u8);
        }

        foreach (var number in numbers)
        {
            WriteNumber(number);
        }

        switch (numbers.Length)
        {
            case 0:
                break;
            case <= 3:
                Write([(byte)(0x84 + numbers.Length)]);
                break;
            default:
                Write("t"u8);
                break;
        }
    }

    private void WriteNumber(long number)
    {
        Span<byte> bytes = stackalloc byte[2 + sizeof(long)];
        switch (number)
        {
            case >= 0 and <= byte.MaxValue:
                Write([(byte)'K', (byte)number]);
                break;
            case >= 0 and <= ushort.MaxValue:
                bytes[0] = (byte)'M';
                BinaryPrimitives.WriteUInt16LittleEndian(bytes[1..], (ushort)number);
                Write(bytes[..3]);
                break;
            case >= int.MinValue and <= int.MaxValue:
                bytes[0] = (byte)'J';
                BinaryPrimitives.WriteInt32LittleEndian(bytes[1..], (int)number);
                Write(bytes[..5]);
                break;
            default:
                // LONG1, a number of eight bytes.
                bytes[0] = 0x8a;
                bytes[1] = sizeof(long);
                BinaryPrimitives.WriteInt64LittleEndian(bytes[2..], number);
                Write(bytes);
                break;
        }
    }

    private void WriteText(string text)
    {
        var length = Strict.GetByteCount(text);
        var bytes = _output.GetSpan(5 + length);
        bytes[0] = (byte)'X';
        BinaryPrimitives.WriteInt32LittleEndian(bytes[1..], length);
        Strict.GetBytes(text, bytes[5..]);
        _output.Advance(5 + length);
    }

    private void WriteOnce(string text)
    {
        if (!Recall(text))
        {
            WriteText(text);
            Memorise(text);
        }
    }

    private void WriteGlobal(string module, string name)
    {
        var key = $"{module}\n{name}\n";
        if (!Recall(key))
        {
            Write("c"u8);
            Write(Encoding.ASCII.GetBytes(key));
            Memorise(key);
        }
    }

    private bool Recall(string key)
    {
        if (!_memo.TryGetValue(key, out var index))
        {
            return false;
        }

        WriteIndexed('h', 'j', index);
        return true;
    }

    private void Memorise(string key)
    {
        var index = _memo.Count;
        _memo.Add(key, index);
        WriteIndexed('q', 'r', index);
    }

    // BINGET and BINPUT have one byte for the index, LONG_BINGET and LONG_BINPUT four.
    private void WriteIndexed(char opcode, char longOpcode, int index)
    {
        if (index <= byte.MaxValue)
        {
            Write([(byte)opcode, (byte)index]);
            return;
        }

        Span<byte> bytes = stackalloc byte[1 + sizeof(uint)];
        bytes[0] = (byte)longOpcode;
        BinaryPrimitives.WriteInt32LittleEndian(bytes[1..], index);
        Write(bytes);
    }

    private void Write(ReadOnlySpan<byte> bytes) => _output.Write(bytes);
}
