using System.Buffers.Binary;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>
/// The bytes of one safetensors file and, cut out of them by the rules of the format alone, the bytes of each tensor: what
/// every load must give.
/// </summary>
public sealed class Sample
{
    private readonly Dictionary<string, byte[]> _tensors = [];

    private Sample(byte[] file)
    {
        File = file;
        var header = (int)BinaryPrimitives.ReadUInt64LittleEndian(file);
        using var json = JsonDocument.Parse(file.AsMemory(8, header));
        foreach (var entry in json.RootElement.EnumerateObject().Where(entry => entry.Name != "__metadata__"))
        {
            // The reference also takes an entry as an array of its fields.
            var range = entry.Value.ValueKind == JsonValueKind.Array ? entry.Value[2] : entry.Value.GetProperty("data_offsets");
            var (begin, end) = (range[0].GetInt32(), range[1].GetInt32());
            _tensors.Add(entry.Name, file[(8 + header + begin)..(8 + header + end)]);
        }
    }

    /// <summary>The whole file.</summary>
    public byte[] File { get; }

    /// <summary>Each tensor's bytes by name.</summary>
    public IReadOnlyDictionary<string, byte[]> Tensors => _tensors;

    public static Sample Of(byte[] file) => new(file);

    /// <summary>Tensors of random bytes, one behind the other.</summary>
    public static Sample Make(int seed, params IEnumerable<(string Name, DType DType, long[] Shape)> tensors)
    {
        var random = new Random(seed);
        var builder = new SafetensorsBuilder();
        foreach (var (name, dtype, shape) in tensors)
        {
            var bytes = new byte[dtype.ByteCount(new Shape(shape).ElementCount)];
            random.NextBytes(bytes);
            builder.Add(name, dtype.Name, shape.Select(size => (ulong)size), bytes);
        }

        return new Sample(builder.ToBytes());
    }

    /// <summary>A handful of tensors of any types and sizes, empty ones and scalars among them.</summary>
    public static Sample MakeRandom(int seed, int longest = 600)
    {
        var random = new Random(seed);
        DType[] dtypes =
        [
            DType.BOOL, DType.F4, DType.F6_E2M3, DType.U8, DType.F8_E4M3, DType.I16, DType.F16, DType.BF16, DType.F32, DType.C64, DType.F64, DType.I64,
        ];
        return Make(seed, Enumerable.Range(0, random.Next(1, 30)).Select(i =>
        {
            var dtype = random.GetItems(dtypes, 1)[0];
            long[] shape = random.Next(8) switch
            {
                0 => [0, 3],
                1 when dtype.BlockLength == 1 => [],
                _ => [random.Next(1, 4), random.Next(1, longest) * (long)dtype.BlockLength],
            };
            return ($"t{i}", dtype, shape);
        }));
    }

    public Task<Checkpoint> OpenAsync(Func<IByteSource, IByteSource>? wrap = null)
    {
        var memory = new MemorySource(File, "sample.safetensors");
        return Checkpoint.OpenAsync(wrap is null ? memory : wrap(memory));
    }

    /// <summary>The sample as a file of a folder, which can be mapped.</summary>
    public Task<Checkpoint> OpenFileAsync(TemporaryFolder folder) => Checkpoint.OpenAsync(folder.Write("sample.safetensors", File));

    /// <summary>The bytes that a plan must make of a tensor: as they are stored, or decoded whole by the codec's scalar body.</summary>
    public byte[] Expected(PlannedTensor planned)
    {
        var stored = Tensors[planned.Name];
        if (planned.DType == planned.Source.DType)
        {
            return stored;
        }

        var codec = Codecs.Of(planned.Source.DType);
        var elements = stored.Length / planned.Source.DType.BlockSize * planned.Source.DType.BlockLength;
        var values = new byte[elements * codec.ValuesPerElement * planned.DType.BlockSize];
        codec.DecodeScalar(stored, values, planned.DType);
        return values;
    }

    /// <summary>Asserts that a model holds exactly what its plan must make.</summary>
    public void AssertLoaded(LoadPlan plan, LoadedModel model)
    {
        Assert.Equal(plan.Tensors.Select(tensor => tensor.Name), model.Names);
        foreach (var planned in plan.Tensors)
        {
            AssertLoaded(planned, model[planned.Name]);
        }
    }

    public void AssertLoaded(PlannedTensor planned, Tensor tensor)
    {
        Assert.Equal((planned.DType, planned.Shape), (tensor.DType, tensor.Shape));
        var bytes = tensor.Device.IsHost ? tensor.AsReadOnlySpan<byte>().ToArray() : LateDevice.Read(tensor);
        Assert.True(Expected(planned).AsSpan().SequenceEqual(bytes), $"{planned.Name} differs.");
    }
}
