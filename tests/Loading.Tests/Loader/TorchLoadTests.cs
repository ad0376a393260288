using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;
using static IlgpuLoader.TestKit.PickleBytes;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Files that PyTorch wrote, from the file to the tensors on a device.</summary>
public sealed class TorchLoadTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(2);

    public static TheoryData<string, bool> Files
    {
        get
        {
            var data = new TheoryData<string, bool>();
            foreach (var file in GoldenTorch.FileNames)
            {
                data.Add(file, false);
                data.Add(file, true);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Files))]
    public async Task A_golden_file_loads_and_streams_with_the_values_that_PyTorch_had(string file, bool isLate)
    {
        await using var checkpoint = await OpenAsync(file);
        var device = Create(isLate);
        var expected = GoldenTorch.Tensors(file);
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, Lanes = 2 });
        await using (var model = await loader.LoadAsync(plan).WaitAsync(Hang))
        {
            Assert.Equal(checkpoint.Tensors.Length, model.Count);
            foreach (var (name, golden) in expected)
            {
                AssertSame(golden, model[name]);
            }
        }

        var streamed = new List<string>();
        await foreach (var (name, tensor) in loader.StreamAsync(plan))
        {
            using (tensor)
            {
                streamed.Add(name);
                if (expected.TryGetValue(name, out var golden))
                {
                    AssertSame(golden, tensor);
                }
            }
        }

        Assert.Equal(checkpoint.Tensors.Select(tensor => tensor.Name).Order(StringComparer.Ordinal), streamed.Order(StringComparer.Ordinal));
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        Assert.Empty((device as LateDevice)?.Violations ?? []);
    }

    [Theory]
    [InlineData("views.zip.pt")]
    [InlineData("views.legacy.pt")]
    [InlineData("tied.zip.pt")]
    [InlineData("tied.legacy.pt")]
    public async Task A_storage_is_read_once_and_its_tensors_share_the_memory(string file)
    {
        var expected = TorchManifest.Tensors(file);
        RecordingSource? source = null;
        await using var checkpoint = await OpenAsync(file, inner => source = new RecordingSource(inner));
        var opening = source!.Reads.Count;
        var device = new HostDevice();
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = device });
        await using (var model = await new CheckpointLoader().LoadAsync(plan))
        {
            // By what the manifest says of storages, not by what was read of the file.
            var storages = expected.GroupBy(tensor => tensor.Value.Storage).ToArray();
            Assert.Contains(storages, storage => storage.Count() > 1);
            Assert.All(storages, storage => Assert.Single(storage.Select(tensor => model[tensor.Key].Memory).Distinct()));
            Assert.Equal(storages.Length, device.LiveAllocations);
            var reads = source.Reads.Skip(opening).OrderBy(read => read.Offset).ToArray();
            Assert.All(reads.Zip(reads.Skip(1)), pair => Assert.InRange(pair.Second.Offset, pair.First.Offset + pair.First.Given, long.MaxValue));
            Assert.Equal(plan.BytesToRead, reads.Sum(read => (long)read.Given));
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Theory]
    [InlineData("views.zip.pt", DType.F32, false)]
    [InlineData("views.legacy.pt", DType.BF16, true)]
    [InlineData("views.zip.pt", DType.F64, true)]
    [InlineData("alltypes.zip.pt", DType.F32, true)]
    [InlineData("alltypes.legacy.pt", DType.F16, false)]
    [InlineData("quantized.zip.pt", DType.F16, false)]
    public async Task Floats_in_any_view_are_converted_and_nothing_else_is(string file, DType dtype, bool isLate)
    {
        await using var checkpoint = await OpenAsync(file);
        var device = Create(isLate);
        var loader = new CheckpointLoader();
        await using (var model = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = device, DType = dtype })).WaitAsync(Hang))
        {
            foreach (var (name, golden) in GoldenTorch.Tensors(file))
            {
                if (!golden.DType.HoldsFloats)
                {
                    AssertSame(golden, model[name]);
                    continue;
                }

                var values = new byte[dtype.ByteCount(golden.Shape.ElementCount)];
                Codecs.Of(golden.DType).DecodeScalar(golden.Bytes, values, dtype);
                AssertSame(golden with { DType = dtype, Bytes = golden.DType == dtype ? golden.Bytes : values }, model[name]);
            }
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Theory]
    [InlineData("model.layers.0.mlp.up_proj.weight", 0, false)]
    [InlineData("model.layers.0.mlp.down_proj.weight", 1, false)]
    [InlineData("model.layers.0.mlp.up_proj.weight", 0, true)]
    public async Task Each_rank_has_its_part_of_a_transposed_weight(string name, int dimension, bool isStream)
    {
        const int rows = 6, columns = 8;
        var storage = new byte[rows * columns * 4];
        new Random(7).NextBytes(storage);
        var builder = new TorchBuilder().AddStorage("0", storage, rows * columns);
        // A matrix of rows × columns that lies in the file column by column.
        var value = Dictionary((name, Tensor(Storage("FloatStorage", "0", rows * columns), 0, [rows, columns], [1, rows])));
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(isStream ? builder.ToStream(value) : builder.ToArchive(value), "turned.pt"));
        var device = new HostDevice();
        for (var rank = 0; rank < 2; rank++)
        {
            var loader = new CheckpointLoader();
            await using var model = await loader.LoadAsync(
                loader.Plan(checkpoint, new LoadOptions { Device = device, TensorParallel = new TensorParallel(2, rank) }));
            var (height, width) = dimension == 0 ? (rows / 2, columns) : (rows, columns / 2);
            var (top, left) = dimension == 0 ? (rank * height, 0) : (0, rank * width);
            var expected = new List<byte>();
            for (var row = top; row < top + height; row++)
            {
                for (var column = left; column < left + width; column++)
                {
                    expected.AddRange(storage[(((column * rows) + row) * 4)..][..4]);
                }
            }

            AssertSame(new GoldenTensor(DType.F32, new Shape(height, width), [.. expected]), model[name]);
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    private static Task<Checkpoint> OpenAsync(string file, Func<IByteSource, IByteSource>? wrap = null)
    {
        var source = new MemorySource(GoldenArchive.Read(TorchManifest.Set, file), file);
        var options = new CheckpointOptions { Torch = TorchLimits.Default with { AllowUnknownGlobals = GoldenTorch.NamesForeignClasses(file) } };
        return Checkpoint.OpenAsync(wrap?.Invoke(source) ?? source, options);
    }

    private static Device Create(bool isLate) => isLate ? new LateDevice { SlotBytes = 1000 } : new HostDevice();

    private static void AssertSame(GoldenTensor expected, Tensor actual)
    {
        Assert.Equal((expected.DType, expected.Shape), (actual.DType, actual.Shape));
        Assert.Equal(expected.Bytes, TensorBytes.Read(actual));
    }
}
