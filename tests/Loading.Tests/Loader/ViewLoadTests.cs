using System.Security.Cryptography;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ViewLoadTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(2);
    private static readonly string[] Kinds = ["host", "soon", "late", "group"];

    public static TheoryData<string> Devices => [.. Kinds];

    [Fact]
    public void Any_views_of_a_storage_load_stream_and_load_again_on_any_device_in_any_dtype_whole_or_sliced()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
            LoadAsync(new Random(seed), seed).WaitAsync(Hang).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(300));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public async Task A_shared_storage_is_read_once_and_its_tensors_share_one_memory_until_the_last_is_disposed(string kind)
    {
        var made = ViewSample.Make(3, DType.F32, 300, 90);
        RecordingSource? source = null;
        await using var checkpoint = made.Open(inner => source = new RecordingSource(inner), Fused());
        var device = Create(kind);
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = device, Lanes = 2 });
        const long bytes = 300 * 90 * 4;
        Assert.Equal((bytes, bytes, bytes), (plan.BytesToRead, plan.BytesNeeded, plan.DestinationBytes));
        Assert.Equal([0, 1, 2, 3, 4], Assert.Single(plan.Blocks).Tensors.ToArray());
        Assert.Equal((1, 1, 3), (plan.TiedCount, plan.LargestTensors(9).Count(), plan.Tensors[4].TiedTo));
        Assert.Contains("5 tensors are views of 1 blocks of memory", plan.ToString(), StringComparison.Ordinal);
        Assert.Equal(bytes, plan.MemoryNeeds()[0].TensorBytes);
        var progress = new RecordedProgress();
        var model = await new CheckpointLoader().LoadAsync(plan, progress).WaitAsync(Hang);
        progress.AssertComplete(plan);
        Assert.Equal(bytes, source!.BytesRead);
        Assert.Equal((1, bytes), (device.LiveAllocations, device.LiveBytes));
        foreach (var (name, tensor) in model)
        {
            Assert.Same(model["q"].Memory, tensor.Memory);
            Assert.Equal(made.Bytes(checkpoint[name]), TensorBytes.Read(tensor));
        }

        Assert.Equal([90, 1], model["k"].Strides.ToArray());
        Assert.Equal(30 * 4, model["k"].ByteOffset);
        using (var turned = model.Detach("turned"))
        {
            model.Dispose();
            Assert.Equal(made.Bytes(checkpoint["turned"]), TensorBytes.Read(turned));
            Assert.Equal(1, device.LiveAllocations);
        }

        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        Assert.Empty((device as LateDevice)?.Violations ?? []);
    }

    [Fact]
    public async Task What_would_bring_more_than_it_needs_is_gathered_and_what_lies_in_a_block_anyway_is_a_view_of_it()
    {
        var made = ViewSample.Make(3, DType.F32, 200, 300);
        RecordingSource? source = null;
        ViewShape[] views =
        [
            new("sparse", [200, 3], [300, 100], 0), new("half", [100, 300], [600, 1], 300), new("row", [300], [1], 59_700), new("within", [3], [100], 59_700),
        ];
        await using var alone = made.Open(inner => source = new RecordingSource(inner), views[0]);
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(alone, new LoadOptions { Device = device });
        Assert.Equal((RunKind.Viewed, 2400L, 2400L), (Assert.Single(plan.Runs).Kind, plan.DestinationBytes, plan.BytesNeeded));
        Assert.Empty(plan.Blocks);
        // What is read with the gaps between elements is memory too: of one lane, and no more than the storage.
        Assert.Equal((240_000L, plan.Staging.Bytes + 240_000), (plan.ScratchBytes, plan.MemoryNeeds()[0].StagingBytes));
        await using (var model = await loader.LoadAsync(plan))
        {
            Assert.True(model["sparse"].IsContiguous);
            Assert.Equal(made.Bytes(alone["sparse"]), TensorBytes.Read(model["sparse"]));
            // The gaps are shorter than another read: one pass from the first element to the last.
            Assert.Equal((1, 239_604L), (source!.Reads.Count, source.BytesRead));
        }

        await using var half = made.Open(views[1]);
        Assert.Equal(0, loader.Plan(half).ScratchBytes);
        Assert.Equal((1, 0), (loader.Plan(half).Blocks.Length, loader.Plan(half, new LoadOptions { Device = MetaDevice.Shared }).Runs.Length));
        await using var within = made.Open(views[2], views[3]);
        var shared = loader.Plan(within);
        Assert.Equal((1200L, 1), (shared.BytesToRead, shared.Blocks.Length));
        Assert.Equal([600, 1], loader.Plan(half).Tensors[0].Strides.ToArray());
    }

    [Fact]
    public async Task Expanded_views_that_do_not_fill_their_span_are_views_of_it()
    {
        var made = ViewSample.Make(3, DType.F32, 2000);
        // Two elements of a thousand, 2^38 times: two tebibytes as elements of its own.
        await using var checkpoint = made.Open(new ViewShape("t", [1L << 38, 2], [0, 1000], 5));
        var device = new HostDevice();
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = device });
        Assert.Equal((1, 1001 * 4L, 1001 * 4L, 2 * 4L), (plan.Blocks.Length, plan.DestinationBytes, plan.BytesToRead, plan.BytesNeeded));
        await using var model = await new CheckpointLoader().LoadAsync(plan);
        Assert.Equal(1001 * 4L, device.LiveBytes);
        using var last = model["t"].Narrow(0, (1L << 38) - 1, 1);
        Assert.Equal([.. made.Storage.Slice(20, 4), .. made.Storage.Slice(4020, 4)], TensorBytes.Read(last));
        // As many elements as the span has are enough, one less is not.
        await using var enough = made.Open(new ViewShape("t", [501, 2], [0, 1000], 5));
        await using var less = made.Open(new ViewShape("t", [500, 2], [0, 1000], 5));
        Assert.Equal((1, 0), (new CheckpointLoader().Plan(enough).Blocks.Length, new CheckpointLoader().Plan(less).Blocks.Length));
    }

    [Theory]
    // Elements of a row of 32 and of 16 rows: from the first to the last of all.
    [InlineData(4, 8, 1)]
    [InlineData(8, 8, 1)]
    [InlineData(8, 16, 0)]
    public async Task Tensors_that_overlap_share_one_memory_where_a_quarter_of_it_is_theirs(int firstStep, int secondStep, int blocks)
    {
        var made = ViewSample.Make(3, DType.F32, 16, 32);
        RecordingSource? source = null;
        await using var checkpoint = made.Open(
            inner => source = new RecordingSource(inner),
            new ViewShape("a", [16, 32 / firstStep], [32, firstStep], 0),
            new ViewShape("b", [16, 32 / secondStep], [32, secondStep], 3));
        var device = new HostDevice();
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = device });
        Assert.Equal(blocks, plan.Blocks.Length);
        await using (var model = await new CheckpointLoader().LoadAsync(plan))
        {
            Assert.Equal((blocks == 1, blocks == 1 ? 1 : 2), (ReferenceEquals(model["a"].Memory, model["b"].Memory), source!.Reads.Count));
            foreach (var (name, tensor) in model)
            {
                Assert.Equal(made.Bytes(checkpoint[name]), TensorBytes.Read(tensor));
            }
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task A_view_that_spans_everything_does_not_keep_others_from_sharing()
    {
        var made = ViewSample.Make(3, DType.F32, 4000);
        await using var checkpoint = made.Open(
            new ViewShape("far", [2], [3999], 0),
            new ViewShape("a", [100], [4], 1000),
            new ViewShape("within", [2], [100], 1001),
            new ViewShape("b", [100], [4], 1002),
            new ViewShape("c", [25], [4], 3000));
        var plan = new CheckpointLoader().Plan(checkpoint);
        Assert.Equal(["a", "within", "b"], Assert.Single(plan.Blocks).Tensors.Select(i => plan.Tensors[i].Name));
        await using var model = await new CheckpointLoader().LoadAsync(plan);
        Assert.All(model, entry => Assert.Equal(made.Bytes(checkpoint[entry.Name]), TensorBytes.Read(entry.Tensor)));
    }

    [Fact]
    public async Task A_hundred_thousand_ties_and_views_are_planned_without_looking_at_each_for_each()
    {
        const int count = 100_000;
        const int step = 1000;
        var made = ViewSample.Make(3, DType.U8, (step * count / 4) + (2 * step));
        // Ties of one tensor; and dense views with sparse ones that lie within them, all in one chain that is worth reading nowhere.
        var views = Enumerable.Range(0, count).Select(i => new ViewShape($"tie{i}", [5], [1], 0))
            .Concat(Enumerable.Range(0, count / 4).SelectMany(i => new[]
            {
                new ViewShape($"dense{i}", [20], [2], 100L + (i * step)),
                new ViewShape($"sparse{i}", [2], [30], 101L + (i * step)),
                new ViewShape($"far{i}", [2], [step + 200], 102L + (i * step)),
            }));
        await using var checkpoint = made.Open(views);
        var loader = new CheckpointLoader();
        loader.Plan(checkpoint);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var plan = loader.Plan(checkpoint);
        // Some hundred bytes a tensor; a copy of an array of ties for each tie would be 20 GB.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4000L * checkpoint.Tensors.Length);
        Assert.Equal((count - 1, count / 4), (plan.TiedCount, plan.Blocks.Length));
        Assert.Equal(count - 1, plan.TiedWith(plan.Tensors.IndexOf(plan.Tensors.First(tensor => tensor.Name == "tie0"))).Length);
    }

    [Fact]
    public async Task The_same_storage_in_two_dtypes_is_two_memories()
    {
        var made = ViewSample.Make(3, DType.F32, 40, 30);
        await using var checkpoint = made.Open(
            new ViewShape("all", [40, 30], default, 0),
            new ViewShape("turned", [30, 40], [1, 30], 0),
            new ViewShape("halves", [60, 40], [1, 60], 0, DType.BF16),
            new ViewShape("bits", [40, 30], [30, 1], 0, DType.I32));
        var device = new HostDevice();
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = device, DType = DType.F64 });
        Assert.Equal([DType.F64, DType.F64, DType.F64, DType.I32], plan.Tensors.Select(tensor => tensor.DType));
        Assert.Equal((2, 3 * 4800L), (plan.Blocks.Length, plan.BytesToRead));
        await using (var model = await new CheckpointLoader().LoadAsync(plan))
        {
            Assert.Same(model["all"].Memory, model["turned"].Memory);
            Assert.NotSame(model["all"].Memory, model["halves"].Memory);
            Assert.Equal(made.Bytes(checkpoint["bits"]), TensorBytes.Read(model["bits"]));
            Assert.Equal(Decode(made.Bytes(checkpoint["halves"]), DType.BF16, DType.F64), TensorBytes.Read(model["halves"]));
            Assert.Equal(3, device.LiveAllocations);
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public async Task A_manifest_holds_for_every_view_and_names_those_that_differ(string kind)
    {
        var made = ViewSample.Make(3, DType.F32, 300, 90);
        await using var checkpoint = made.Open([.. Fused(), new ViewShape("sparse", [3], [1000], 7, DType.I16)]);
        var manifest = TensorHasher.ToManifest(await TensorHasher.HashStoredAsync(checkpoint));
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(made.Bytes(checkpoint["turned"])));
        Assert.Equal(sha256, manifest.Entries["turned"].Sha256);
        foreach (var dtype in new DType?[] { null, DType.BF16 })
        {
            var device = Create(kind);
            var loader = new CheckpointLoader();
            var options = new LoadOptions { Device = device, DType = dtype, Manifest = manifest };
            await (await loader.LoadAsync(loader.Plan(checkpoint, options)).WaitAsync(Hang)).DisposeAsync();
            var wrong = new TensorManifest(manifest.Entries.Select(entry =>
                KeyValuePair.Create(entry.Key, entry.Key is "k" or "again" or "sparse" ? entry.Value with { Sha256 = new string('0', 64) } : entry.Value)));
            var plan = loader.Plan(checkpoint, options with { Manifest = wrong });
            var error = await Assert.ThrowsAsync<ManifestMismatchException>(() => loader.LoadAsync(plan)).WaitAsync(Hang);
            Assert.Equal(["again", "k", "sparse"], error.Mismatches.Select(mismatch => mismatch.Tensor).Order());
            var streamed = new List<string>();
            await Assert.ThrowsAsync<ManifestMismatchException>(async () =>
            {
                await foreach (var (name, tensor) in loader.StreamAsync(plan))
                {
                    streamed.Add(name);
                    tensor.Dispose();
                }
            }).WaitAsync(Hang);
            Assert.Empty(streamed);
            Assert.Equal(0, device.LiveAllocations);
            Assert.Empty((device as LateDevice)?.Violations ?? []);
        }
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public async Task Failures_and_cancellation_free_everything_and_name_the_tensor_whose_bytes_they_are(string kind)
    {
        var made = ViewSample.Make(3, DType.F32, 60_000, 90);
        var loader = new CheckpointLoader();
        ViewShape[] views = [new("front", [50, 90], [90, 1], 0), new("turned", [90, 60_000], [1, 90], 0), new("behind", [100], [1], 2_600_000)];
        await using var bad = made.Open(inner => ThrowingSource.AfterBytes(inner, 17_500_000), views);
        var device = Create(kind);
        var plan = loader.Plan(bad, new LoadOptions { Device = device });
        var error = await Assert.ThrowsAsync<IOException>(() => loader.LoadAsync(plan)).WaitAsync(Hang);
        Assert.Contains("tensor 'turned' could not be read", error.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<IOException>(async () =>
        {
            await foreach (var tensor in loader.StreamAsync(plan))
            {
                tensor.Tensor.Dispose();
            }
        }).WaitAsync(Hang);
        Assert.Equal(0, device.LiveAllocations);

        using var cancellation = new CancellationTokenSource();
        ActingSource? source = null;
        await using var late = made.Open(inner => source = new ActingSource(inner), views);
        source!.Arm(1, cancellation.Cancel);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => loader.LoadAsync(loader.Plan(late, new LoadOptions { Device = device }), null, cancellation.Token)).WaitAsync(Hang);
        Assert.Equal(0, device.LiveAllocations);
        if (device is LateDevice)
        {
            for (var allocation = 1; allocation <= 2; allocation++)
            {
                var full = new LateDevice { SlotBytes = 1000, FailingAllocation = allocation };
                await using var several = made.Open([.. views, new ViewShape("apart", [3], [1], 2_650_000, DType.I32)]);
                await Assert.ThrowsAsync<DeviceMemoryException>(() => loader.LoadAsync(loader.Plan(several, new LoadOptions { Device = full })));
                Assert.Equal(0, full.LiveAllocations);
            }
        }
    }

    [Fact]
    public async Task A_gathered_view_that_cannot_be_read_is_named_once()
    {
        var made = ViewSample.Make(3, DType.U8, 1 << 20);
        await using var checkpoint = made.Open(inner => ThrowingSource.AfterReads(inner, 2), new ViewShape("t", [5, 100], [100_000, 1], 7));
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        var error = await Assert.ThrowsAsync<IOException>(() => loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = device })));
        Assert.StartsWith($"views.bin: tensor 't' could not be read at byte {checkpoint["t"].DataOffset + 200_000}: ", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("tensor 't'", error.Message[30..], StringComparison.Ordinal);
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task A_model_is_loaded_into_again_only_where_its_tensors_share_as_the_plan_says()
    {
        var made = ViewSample.Make(3, DType.F32, 300, 90);
        await using var checkpoint = made.Open(Fused());
        await using var moved = made.Open(Fused().Select(view => view.Name == "k" ? view with { Start = 31 } : view));
        await using var apart = made.Open(Fused().Select(view => view.Name == "q" ? view with { DType = DType.F32, Strides = [91, 1], Shape = [290, 30] } : view));
        var (loader, device) = (new CheckpointLoader(), new HostDevice());
        var options = new LoadOptions { Device = device };
        await using (var model = await loader.LoadAsync(loader.Plan(checkpoint, options)))
        {
            ((HostMemory)model["q"].Memory).AsSpan(0, 1000).Clear();
            await loader.LoadIntoAsync(loader.Plan(checkpoint, options), model);
            Assert.All(model, tensor => Assert.Equal(made.Bytes(checkpoint[tensor.Name]), TensorBytes.Read(tensor.Tensor)));
            Assert.Equal(1, device.LiveAllocations);
            foreach (var other in new[] { moved, apart })
            {
                await Assert.ThrowsAsync<ArgumentException>(() => loader.LoadIntoAsync(loader.Plan(other, options), model));
            }

            var single = LoadPlanner.Plan(checkpoint, options, tensor => tensor.Name is "q" or "turned");
            await using var two = await loader.LoadAsync(LoadPlanner.Plan(checkpoint, options, tensor => tensor.Name == "turned"));
            await Assert.ThrowsAsync<ArgumentException>(() => loader.LoadIntoAsync(single, two));
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task The_meta_device_has_the_shapes_and_strides_and_nothing_is_read()
    {
        var made = ViewSample.Make(3, DType.F32, 300, 90);
        RecordingSource? source = null;
        await using var checkpoint = made.Open(inner => source = new RecordingSource(inner), Fused());
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = MetaDevice.Shared });
        await using var model = await new CheckpointLoader().LoadAsync(plan);
        Assert.Equal((new Shape(90, 300), 0), (model["turned"].Shape, source!.Reads.Count));
        Assert.Equal([1, 90], model["turned"].Strides.ToArray());
        Assert.Same(model["turned"].Memory, model["q"].Memory);
    }

    [Theory]
    [InlineData("model.layers.0.mlp.up_proj.weight", 0)]
    [InlineData("model.layers.0.mlp.down_proj.weight", 1)]
    public async Task A_rank_of_a_turned_weight_is_gathered_and_takes_the_memory_of_its_part(string name, int dimension)
    {
        var made = ViewSample.Make(3, DType.F32, 80, 60);
        await using var checkpoint = made.Open(new ViewShape(name, [60, 80], [1, 60], 0));
        var device = new HostDevice();
        var parts = new List<byte[]>();
        for (var rank = 0; rank < 4; rank++)
        {
            var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = device, TensorParallel = new TensorParallel(4, rank) });
            Assert.Equal((4800L, 4800L, 4800L, 1), (plan.DestinationBytes, plan.BytesNeeded, plan.BytesToRead, plan.SlicedCount));
            Assert.Empty(plan.Blocks);
            await using var model = await new CheckpointLoader().LoadAsync(plan);
            Assert.True(model[name].IsContiguous);
            Assert.Equal(4800, device.LiveBytes);
            parts.Add(TensorBytes.Read(model[name]));
            Assert.Equal(Cut(made.Bytes(checkpoint[name]), checkpoint[name], plan.Tensors[0].Slice), parts[^1]);
            Assert.Equal(dimension, plan.Tensors[0].Slice!.Dimension);
        }

        Assert.Equal(made.Storage.Length, parts.Sum(part => part.Length));
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task Values_of_views_have_the_hash_of_a_copy()
    {
        var made = ViewSample.Make(5, DType.F32, 300, 90);
        await using var checkpoint = made.Open(Fused());
        var expected = checkpoint.Tensors.Select(tensor => Convert.ToHexStringLower(SHA256.HashData(made.Bytes(tensor)))).ToArray();
        foreach (var device in new Device[] { new HostDevice(), new LateDevice(), new LateGroup().Device })
        {
            Assert.Equal(expected, (await TensorHasher.HashValuesAsync(checkpoint, device)).Select(hash => hash.Sha256));
            Assert.Equal(0, device.LiveAllocations);
        }
    }

    // Three thirds of the columns, all of them turned, and one of the thirds once more.
    private static ViewShape[] Fused() =>
    [
        new("q", [300, 30], [90, 1], 0),
        new("turned", [90, 300], [1, 90], 0),
        new("k", [300, 30], [90, 1], 30),
        new("v", [300, 30], [90, 1], 60),
        new("again", [300, 30], [90, 1], 60),
    ];

    private static Device Create(string kind) => kind switch
    {
        "host" => new HostDevice(),
        "soon" => new LateDevice { SlotBytes = 1000 },
        "group" => new LateGroup { SlotBytes = 1000 }.Device,
        _ => new LateDevice { SlotBytes = 1000, Lateness = Lateness.WhenWaitedFor },
    };

    private static async Task LoadAsync(Random random, int seed)
    {
        var dtype = ViewGenerator.NextDType(random);
        var made = ViewSample.Make(seed, dtype, random.Next(1, random.Next(3) == 0 ? 300_000 : 400));
        var views = Enumerable.Range(0, random.Next(1, 5)).Select(i => ViewGenerator.Next(random, $"t{i}", made.Elements)).ToList();
        if (random.Next(2) == 0)
        {
            views.Add(new ViewShape("whole", [made.Elements], default, 0));
        }

        // The same elements under another name, which is tied.
        views.Add(views[0] with { Name = "again" });
        var (most, isShort, isSynchronous) = (random.Next(1, 5000), random.Next(4) == 0, random.Next(2) == 0);
        await using var checkpoint = made.Open(
            inner =>
            {
                inner = isShort ? new ShortReadSource(inner, most) : inner;
                return isSynchronous ? new SynchronousSource(inner) : inner;
            },
            views);
        Device device = random.Next(3) switch
        {
            0 => new HostDevice(),
            1 => new LateDevice { SlotBytes = random.Next(16, 100_000), Lateness = (Lateness)random.Next(2) },
            _ => new LateGroup { SlotBytes = random.Next(16, 100_000) }.Device,
        };
        var target = random.Next(3) == 0 ? DType.F32 : (DType?)null;
        var options = new LoadOptions
        {
            Device = device,
            DType = target,
            ConvertAllTypes = target is not null,
            Lanes = random.Next(1, 4),
            StreamWindowBytes = random.Next(3) == 0 ? 0 : 100_000,
            StagingBytes = 64L << random.Next(10, 13),
        };
        var slices = checkpoint.Tensors.ToDictionary(tensor => tensor, tensor => random.Next(4) == 0 ? NextSlice(random, tensor) : null);
        var plan = LoadPlanner.Plan(checkpoint, options, _ => true, tensor => slices[tensor]);
        var expected = checkpoint.Tensors.ToDictionary(
            tensor => tensor.Name, tensor => Decode(Cut(made.Bytes(tensor), tensor, slices[tensor]), dtype, target ?? dtype));
        var loader = new CheckpointLoader();
        await using (var model = await loader.LoadAsync(plan))
        {
            AssertLoaded(plan, model, expected);
            Assert.Equal(plan.DestinationBytes, device.LiveBytes);
            await loader.LoadIntoAsync(plan, model);
            AssertLoaded(plan, model, expected);
        }

        Assert.Equal(0, device.LiveAllocations);
        var streamed = new HashSet<string>();
        await foreach (var (name, tensor) in loader.StreamAsync(plan))
        {
            using (tensor)
            {
                Assert.True(streamed.Add(name));
                Assert.True(expected[name].AsSpan().SequenceEqual(TensorBytes.Read(tensor)), name);
            }
        }

        Assert.Equal(views.Count, streamed.Count);
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        Assert.Empty((device as LateDevice)?.Violations ?? []);
    }

    private static void AssertLoaded(LoadPlan plan, LoadedModel model, Dictionary<string, byte[]> expected)
    {
        foreach (var planned in plan.Tensors)
        {
            var tensor = model[planned.Name];
            Assert.Equal((planned.DType, planned.Shape), (tensor.DType, tensor.Shape));
            Assert.True(expected[planned.Name].AsSpan().SequenceEqual(TensorBytes.Read(tensor)), $"{planned.Source} differs");
            if (planned.TiedTo is { } first)
            {
                Assert.Same(model[plan.Tensors[first].Name].Memory, tensor.Memory);
            }
        }
    }

    private static TensorSlice? NextSlice(Random random, TensorInfo tensor)
    {
        if (tensor.Shape.Rank == 0)
        {
            return null;
        }

        var dimension = random.Next(tensor.Shape.Rank);
        var start = random.NextInt64(tensor.Shape[dimension] + 1);
        return new TensorSlice(dimension, start, random.NextInt64(tensor.Shape[dimension] - start + 1));
    }

    // Element by element, by the definition of row-major order.
    private static byte[] Cut(byte[] bytes, TensorInfo tensor, TensorSlice? slice)
    {
        if (slice is null)
        {
            return bytes;
        }

        var inner = tensor.Shape.Skip(slice.Dimension + 1).Aggregate((long)tensor.DType.BlockSize, (product, one) => product * one);
        var row = inner * tensor.Shape[slice.Dimension];
        var result = new List<byte>();
        for (long at = 0; at < bytes.Length; at += row)
        {
            result.AddRange(bytes.AsSpan((int)(at + (slice.Start * inner)), (int)(slice.Length * inner)));
        }

        return [.. result];
    }

    private static byte[] Decode(byte[] stored, DType dtype, DType target)
    {
        if (dtype == target)
        {
            return stored;
        }

        var codec = Codecs.Of(dtype);
        var values = new byte[stored.Length / dtype.BlockSize * codec.ValuesPerElement * target.BlockSize];
        codec.DecodeScalar(stored, values, target);
        return values;
    }
}
