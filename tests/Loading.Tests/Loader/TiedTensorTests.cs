using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class TiedTensorTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(1);

    private static readonly Sample Tensors = Sample.Make(
        11, ("embed", DType.F32, [30, 20]), ("large", DType.U8, [2_500_000]), ("empty", DType.F32, [0]), ("norm", DType.F32, [20]));

    private static readonly (string, string, DType, long[])[] Aliases =
    [
        ("head", "embed", DType.F32, [30, 20]),
        ("flat", "embed", DType.F32, [600]),
        ("bytes", "embed", DType.U8, [2400]),
        ("large2", "large", DType.U8, [2, 1_250_000]),
        ("empty2", "empty", DType.F32, [0]),
    ];

    private static readonly string[] Kinds = ["host", "soon", "late", "group"];

    public static TheoryData<string> Devices => [.. Kinds];

    [Fact]
    public async Task A_plan_reads_shared_storage_once_and_says_what_is_tied()
    {
        await using var checkpoint = await TiedSample.OpenAsync(Tensors, null, Aliases);
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = new HostDevice() });
        Assert.Equal(9, plan.Tensors.Length);
        var tied = plan.Tensors.Where(tensor => tensor.TiedTo is not null).ToDictionary(tensor => tensor.Name, tensor => plan.Tensors[tensor.TiedTo!.Value].Name);
        Assert.Equal([("flat", "embed"), ("head", "embed"), ("large2", "large")], tied.Select(pair => (pair.Key, pair.Value)).Order());
        Assert.Equal(3, plan.TiedCount);
        // Another dtype has memory of its own and is read again.
        const long bytes = 2400 + 2400 + 2_500_000 + 80;
        Assert.Equal((bytes, bytes, bytes), (plan.BytesToRead, plan.BytesNeeded, plan.DestinationBytes));
        Assert.Contains("3 tensors tied to others", plan.ToString(), StringComparison.Ordinal);
        Assert.Equal(["large", "bytes", "embed", "norm", "empty", "empty2"], plan.LargestTensors(9).Select(tensor => tensor.Name));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public async Task A_model_has_tied_tensors_in_one_memory_until_the_last_is_disposed(string kind)
    {
        RecordingSource? source = null;
        await using var checkpoint = await TiedSample.OpenAsync(Tensors, inner => source = new RecordingSource(inner), Aliases);
        var opened = source!.BytesRead;
        var expected = TiedSample.Bytes(checkpoint, Tensors);
        var device = Create(kind);
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, Lanes = 3 });
        var progress = new RecordedProgress();
        var model = await loader.LoadAsync(plan, progress).WaitAsync(Hang);
        progress.AssertComplete(plan);
        Assert.Equal(plan.BytesToRead, source.BytesRead - opened);
        Assert.Equal((9, plan.BytesToRead, plan.DestinationBytes), (model.Statistics.Tensors, model.Statistics.BytesRead, model.Statistics.BytesPlaced));
        Assert.All(model, tensor => Assert.Equal(expected[tensor.Name], Read(tensor.Tensor)));
        Assert.Same(model["embed"].Memory, model["head"].Memory);
        Assert.Same(model["embed"].Memory, model["flat"].Memory);
        Assert.NotSame(model["embed"].Memory, model["bytes"].Memory);
        Assert.Equal(new Shape(2, 1_250_000), model["large2"].Shape);
        Assert.Equal((6, plan.DestinationBytes), (device.LiveAllocations, device.LiveBytes));

        model["embed"].Dispose();
        Assert.Equal(expected["head"], Read(model["head"]));
        using (var detached = model.Detach("head"))
        {
            model.Dispose();
            Assert.Equal(expected["head"], Read(detached));
            Assert.Equal((1, 2400L), (device.LiveAllocations, device.LiveBytes));
        }

        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        Assert.Empty((device as LateDevice)?.Violations ?? []);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public async Task A_stream_gives_each_name_and_disposing_one_leaves_the_others(string kind)
    {
        await using var checkpoint = await TiedSample.OpenAsync(Tensors, null, Aliases);
        var expected = TiedSample.Bytes(checkpoint, Tensors);
        foreach (var window in new[] { 0, 2400, 1 << 20 })
        {
            var device = Create(kind);
            var loader = new CheckpointLoader();
            var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, Lanes = 2, StreamWindowBytes = window });
            var names = await StreamAsync(loader, plan, expected).WaitAsync(Hang);
            Assert.Equal(expected.Keys.Order(), names.Order());
            Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
            Assert.Empty((device as LateDevice)?.Violations ?? []);
        }
    }

    // The storage counts in the window until its last name was taken, so that disposing the first does not let more in.
    [Fact]
    public async Task The_window_holds_with_tied_tensors()
    {
        const int size = 1000;
        var sample = Sample.Make(2, Enumerable.Range(0, 40).Select(i => ($"t{i:00}", DType.U8, new long[] { size })));
        var aliases = Enumerable.Range(0, 40).Select(i => ($"u{i:00}", $"t{i:00}", DType.U8, new long[] { size })).ToArray();
        await using var checkpoint = await TiedSample.OpenAsync(sample, null, aliases);
        var expected = TiedSample.Bytes(checkpoint, sample);
        foreach (var lateness in Enum.GetValues<Lateness>())
        {
            var device = new LateDevice { SlotBytes = size, Lateness = lateness };
            var loader = new CheckpointLoader();
            var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, Lanes = 3, StreamWindowBytes = 3 * size });
            Assert.Equal(80, (await StreamAsync(loader, plan, expected).WaitAsync(Hang)).Count);
            // What the consumer holds comes on top.
            Assert.InRange(device.PeakBytes, size, 4 * size);
        }
    }

    [Fact]
    public async Task Leaving_a_stream_between_two_names_frees_what_was_not_taken()
    {
        await using var checkpoint = await TiedSample.OpenAsync(Tensors, null, Aliases);
        var expected = TiedSample.Bytes(checkpoint, Tensors);
        for (var taken = 1; taken <= 5; taken++)
        {
            var device = new LateDevice();
            var loader = new CheckpointLoader();
            var kept = new List<LoadedTensor>();
            await foreach (var tensor in loader.StreamAsync(loader.Plan(checkpoint, new LoadOptions { Device = device, Lanes = 1 })))
            {
                kept.Add(tensor);
                if (kept.Count == taken)
                {
                    break;
                }
            }

            Assert.All(kept, tensor => Assert.Equal(expected[tensor.Name], Read(tensor.Tensor)));
            Assert.Equal(kept.Select(tensor => tensor.Tensor.Memory).Distinct().Count(), device.LiveAllocations);
            kept.ForEach(tensor => tensor.Tensor.Dispose());
            Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        }
    }

    [Fact]
    public async Task Conversions_are_done_once_for_all_names()
    {
        await using var checkpoint = await TiedSample.OpenAsync(Tensors, null, Aliases);
        foreach (var kind in Kinds)
        {
            var device = Create(kind);
            var loader = new CheckpointLoader();
            var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, DType = DType.BF16 });
            await using (var model = await loader.LoadAsync(plan))
            {
                Assert.Same(model["embed"].Memory, model["head"].Memory);
                var codec = Codecs.Of(DType.F32);
                var expected = new byte[1200];
                codec.DecodeScalar(Tensors.Tensors["embed"], expected, DType.BF16);
                Assert.All(new[] { "embed", "head", "flat" }, name => Assert.Equal(expected, Read(model[name])));
            }

            Assert.Equal(0, device.LiveAllocations);
        }
    }

    [Fact]
    public async Task Onto_meta_tied_tensors_share_their_identity()
    {
        var device = new MetaDevice();
        await using var checkpoint = await TiedSample.OpenAsync(Tensors, null, Aliases);
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device });
        var progress = new RecordedProgress();
        await using (var model = await loader.LoadAsync(plan, progress))
        {
            progress.AssertComplete(plan);
            Assert.Same(model["embed"].Memory, model["head"].Memory);
            Assert.Equal((6, plan.DestinationBytes), (device.LiveAllocations, device.LiveBytes));
        }

        var names = new List<string>();
        await foreach (var (name, tensor) in loader.StreamAsync(plan))
        {
            names.Add(name);
            tensor.Dispose();
        }

        Assert.Equal(9, names.Distinct().Count());
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task Loading_again_keeps_ties_and_refuses_a_model_that_is_tied_otherwise()
    {
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        var options = new LoadOptions { Device = device };
        await using var tied = await TiedSample.OpenAsync(Tensors, null, ("head", "embed", DType.F32, [30, 20]));
        await using var apart = await Sample.Make(
            12,
            ("embed", DType.F32, [30, 20]),
            ("head", DType.F32, [30, 20]),
            ("large", DType.U8, [2_500_000]),
            ("empty", DType.F32, [0]),
            ("norm", DType.F32, [20])).OpenAsync();
        var (tiedPlan, apartPlan) = (loader.Plan(tied, options), loader.Plan(apart, options));
        await using var tiedModel = await loader.LoadAsync(tiedPlan);
        await using var apartModel = await loader.LoadAsync(apartPlan);

        tiedModel["head"].AsSpan<byte>().Clear();
        await loader.LoadIntoAsync(tiedPlan, tiedModel);
        Assert.Equal(Tensors.Tensors["embed"], Read(tiedModel["embed"]));
        Assert.Contains("'head' shares the memory of 'embed'", (await Assert.ThrowsAsync<ArgumentException>(() => loader.LoadIntoAsync(apartPlan, tiedModel))).Message, StringComparison.Ordinal);
        Assert.Contains("tied to 'embed' in the plan", (await Assert.ThrowsAsync<ArgumentException>(() => loader.LoadIntoAsync(tiedPlan, apartModel))).Message, StringComparison.Ordinal);

        tiedModel["embed"].AsSpan<byte>().Clear();
        await loader.LoadIntoAsync(loader.Plan(tied, options with { Include = ["head"] }), tiedModel);
        Assert.Equal(Tensors.Tensors["embed"], Read(tiedModel["embed"]));
    }

    [Fact]
    public async Task A_failure_frees_tied_tensors()
    {
        foreach (var kind in Kinds)
        {
            await using var checkpoint = await TiedSample.OpenAsync(Tensors, inner => ThrowingSource.AfterBytes(inner, 1_500_000), Aliases);
            var device = Create(kind);
            var loader = new CheckpointLoader();
            var plan = loader.Plan(checkpoint, new LoadOptions { Device = device });
            await Assert.ThrowsAsync<IOException>(() => loader.LoadAsync(plan));
            await Assert.ThrowsAsync<IOException>(() => StreamAsync(loader, plan, TiedSample.Bytes(checkpoint, Tensors)));
            Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        }
    }

    [Fact]
    public async Task A_chosen_alias_alone_is_read_by_itself()
    {
        await using var checkpoint = await TiedSample.OpenAsync(Tensors, null, Aliases);
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = new HostDevice(), Include = ["flat", "head"] });
        Assert.Equal([null, 0], plan.Tensors.Select(tensor => tensor.TiedTo));
        await using var model = await loader.LoadAsync(plan);
        Assert.Equal(Tensors.Tensors["embed"], Read(model["flat"]));
    }

    [Fact]
    public async Task Different_slices_of_one_storage_are_read_apart_and_equal_ones_once()
    {
        await using var checkpoint = await TiedSample.OpenAsync(Tensors, null, Aliases);
        var loader = new CheckpointLoader();
        var plan = LoadPlanner.Plan(
            checkpoint,
            new LoadOptions { Device = new HostDevice() },
            tensor => tensor.Name is "embed" or "head" or "flat",
            _ => new TensorSlice(0, 0, 10));
        // The first ten of 30 rows are not the first ten of 600 elements.
        Assert.Equal((1, (800 + 40)), (plan.TiedCount, (int)plan.BytesToRead));
        await using var model = await loader.LoadAsync(plan);
        Assert.Equal(Tensors.Tensors["embed"][..800], Read(model["head"]));
        Assert.Equal(Tensors.Tensors["embed"][..40], Read(model["flat"]));
    }

    private static Device Create(string kind) => kind switch
    {
        "host" => new HostDevice(),
        "soon" => new LateDevice { SlotBytes = 1000 },
        "group" => new LateGroup { SlotBytes = 1000 }.Device,
        _ => new LateDevice { SlotBytes = 1000, Lateness = Lateness.WhenWaitedFor },
    };

    private static byte[] Read(Tensor tensor) => tensor.Device.IsHost ? tensor.AsSpan<byte>().ToArray() : LateDevice.Read(tensor);

    private static async Task<List<string>> StreamAsync(CheckpointLoader loader, LoadPlan plan, IReadOnlyDictionary<string, byte[]> expected)
    {
        var names = new List<string>();
        await foreach (var (name, tensor) in loader.StreamAsync(plan))
        {
            using (tensor)
            {
                Assert.Equal(expected[name], Read(tensor));
                names.Add(name);
                await Task.Yield();
            }
        }

        return names;
    }
}
