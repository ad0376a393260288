namespace IlgpuLoader.TestKit;

/// <summary>
/// Builds the bytes of GGUF files from the format's own rules (formats.md section 2), without the reader's or writer's code:
/// good ones value by value and tensor by tensor, and bad ones by saying something else than what is there.
/// </summary>
/// <param name="version">The version, 1 to 3 in good files.</param>
/// <param name="bigEndian">Whether numbers have their highest byte first. The tensors' bytes are given in that order too.</param>
public sealed class GgufBuilder(uint version = 3, bool bigEndian = false)
{
    private readonly GgufFields _metadata = new((int)version, bigEndian);
    private readonly GgufFields _tensors = new((int)version, bigEndian);
    private readonly List<byte> _data = [];
    private ulong _keyCount;
    private ulong _tensorCount;

    /// <summary>What the padding goes by; it does not write the key.</summary>
    public int Alignment { get; init; } = 32;

    /// <summary>What the header says instead of the number of tensors.</summary>
    public ulong? ClaimedTensors { get; init; }

    /// <summary>What the header says instead of the number of metadata entries.</summary>
    public ulong? ClaimedKeys { get; init; }

    /// <summary>Fields that are written as this file writes them.</summary>
    public GgufFields Fields() => new((int)version, bigEndian);

    /// <summary>A small model: a name, an alignment, and one tensor 'a' of 4 F32.</summary>
    public static GgufBuilder Tiny(uint version = 3, bool bigEndian = false) => new GgufBuilder(version, bigEndian)
        .Add("general.architecture", "llama")
        .Add("general.alignment", 32u)
        .Tensor("a", 0, [4], new byte[16]);

    /// <summary>Adds a metadata value; its CLR type decides its type, and of arrays their elements'.</summary>
    public GgufBuilder Add(string key, object value) => Add(key, GgufFields.TypeOf(value), fields => fields.Value(value));

    /// <summary>Adds a metadata value of any type and bytes.</summary>
    public GgufBuilder Add(string key, uint type, Action<GgufFields> value)
    {
        _metadata.Text(key).U32(type);
        value(_metadata);
        _keyCount++;
        return this;
    }

    /// <summary>Adds metadata from its key on.</summary>
    public GgufBuilder AddRaw(Action<GgufFields> entry)
    {
        entry(_metadata);
        _keyCount++;
        return this;
    }

    /// <summary>Adds a tensor behind the ones before.</summary>
    /// <param name="name">The name.</param>
    /// <param name="type">The number of the type.</param>
    /// <param name="ne">The dimensions, the fastest first as the file has them.</param>
    /// <param name="data">The bytes.</param>
    /// <param name="offset">What the header says instead of where they are.</param>
    public GgufBuilder Tensor(string name, int type, ulong[] ne, ReadOnlySpan<byte> data, ulong? offset = null)
    {
        Pad(_data);
        var at = (ulong)_data.Count;
        _data.AddRange(data);
        return TensorRaw(fields =>
        {
            fields.Text(name).U32((uint)ne.Length);
            foreach (var size in ne)
            {
                fields.Length(size);
            }

            fields.U32((uint)type).U64(offset ?? at);
        });
    }

    /// <summary>Adds the entry of a tensor, and no data.</summary>
    public GgufBuilder TensorRaw(Action<GgufFields> entry)
    {
        entry(_tensors);
        _tensorCount++;
        return this;
    }

    /// <summary>The header without padding.</summary>
    public byte[] HeaderBytes() =>
        Fields()
            .Raw("GGUF"u8)
            .U32(version)
            .Length(ClaimedTensors ?? _tensorCount)
            .Length(ClaimedKeys ?? _keyCount)
            .Raw(_metadata.ToArray())
            .Raw(_tensors.ToArray())
            .ToArray();

    /// <summary>The file: the header, and where there are tensors, padding, their data, and padding, as ggml writes it.</summary>
    public byte[] ToBytes()
    {
        List<byte> file = [.. HeaderBytes()];
        if (_tensorCount > 0)
        {
            Pad(file);
            file.AddRange(_data);
            Pad(file);
        }

        return [.. file];
    }

    private void Pad(List<byte> bytes)
    {
        while (bytes.Count % Alignment != 0)
        {
            bytes.Add(0);
        }
    }
}
