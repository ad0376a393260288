using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Models whose small tensors are views of slabs: the same bytes as without, on every kind of device, in fewer allocations.</summary>
public sealed class SlabLoadTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(1);
    private static readonly string[] Kinds = ["host", "soon", "late", "group", "hosted group"];

    private static readonly Sample Tensors = Sample.Make(
        2, ("a", DType.F32, [64]), ("large", DType.F32, [4096]), ("b", DType.F32, [3]), ("empty", DType.F32, [0, 2]), ("c", DType.BF16, [40]));

    public static TheoryData<string> Devices => [.. Kinds];

    [Fact]
    public void Any_checkpoint_loads_whole_into_slabs_of_any_size_twice()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            LoadTwiceAsync(Sample.MakeRandom(seed, 200), random).WaitAsync(Hang).GetAwaiter().GetResult();
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public async Task Ties_and_views_lie_in_slabs_too(string kind)
    {
        var sample = ViewSample.Make(8, DType.F32, 6, 5);
        var device = Create(kind);
        var loader = new CheckpointLoader();
        await using var checkpoint = sample.Open(
            new ViewShape("turned", [5, 6], [1, 5], 0),
            new ViewShape("again", [5, 6], [1, 5], 0),
            new ViewShape("row", [5], [1], 10),
            new ViewShape("other", [30], default, 0, DType.I32));
        foreach (var dtype in new[] { (DType?)null, DType.F64 })
        {
            var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, DType = dtype, SlabBytes = 4096, Lanes = 2 });
            Assert.Single(plan.Blocks);
            Assert.Equal((1, 4), (plan.Slabs.Length, plan.SlabTensorCount));
            var model = await loader.LoadAsync(plan).WaitAsync(Hang);
            AssertViews();
            await loader.LoadIntoAsync(plan, model).WaitAsync(Hang);
            AssertViews();
            Assert.Equal((1, plan.Slabs[0]), (device.LiveAllocations, device.LiveBytes));
            model.Dispose();
            Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));

            void AssertViews()
            {
                foreach (var (name, tensor) in model)
                {
                    var stored = sample.Bytes(checkpoint[name]);
                    var expected = dtype is null || name == "other"
                        ? stored
                        : stored.Chunk(4).SelectMany(bytes => BitConverter.GetBytes((double)BitConverter.ToSingle(bytes))).ToArray();
                    Assert.Equal(expected, TensorBytes.Read(tensor));
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public async Task A_slab_stays_until_its_last_tensor_is_disposed(string kind)
    {
        var device = Create(kind);
        var loader = new CheckpointLoader();
        await using var checkpoint = await Tensors.OpenAsync();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, SlabBytes = 1024 });
        var model = await loader.LoadAsync(plan).WaitAsync(Hang);
        // The slab, the large tensor, and the one without bytes.
        Assert.Equal((3, plan.AllocatedBytes), (device.LiveAllocations, device.LiveBytes));
        Assert.Same(model["a"].Memory, model["c"].Memory);
        var detached = model.Detach("b");
        model.Dispose();
        Assert.Equal(Tensors.Tensors["b"], LateDevice.Read(detached));
        Assert.Equal((1, plan.Slabs[0]), (device.LiveAllocations, device.LiveBytes));
        detached.Dispose();
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [Fact]
    public async Task A_model_on_one_device_of_several_keeps_that_device_s_slab()
    {
        var (first, second) = (new LateDevice(), new LateDevice { Index = 1 });
        var loader = new CheckpointLoader();
        await using var checkpoint = await Tensors.OpenAsync();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = new DeviceGroup(first, second), SlabBytes = 1024 });
        var model = await loader.LoadAsync(plan).WaitAsync(Hang);
        using var part = model.On(second);
        model.Dispose();
        Assert.Equal((0, 3), (first.LiveAllocations, second.LiveAllocations));
        Tensors.AssertLoaded(plan, part);
    }

    [Fact]
    public async Task On_the_meta_device_tensors_have_the_places_of_the_plan()
    {
        var device = new MetaDevice();
        var loader = new CheckpointLoader();
        await using var checkpoint = await Tensors.OpenAsync();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, SlabBytes = 1024 });
        using (var model = await loader.LoadAsync(plan))
        {
            Assert.Equal(plan.Tensors.Select(tensor => tensor.Slab?.ByteOffset ?? 0), model.Select(tensor => tensor.Tensor.ByteOffset));
            Assert.Equal((3, plan.AllocatedBytes), (device.LiveAllocations, device.LiveBytes));
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task A_stream_has_no_slabs()
    {
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        await using var checkpoint = await Tensors.OpenAsync();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, SlabBytes = 1024 });
        await foreach (var (name, tensor) in loader.StreamAsync(plan))
        {
            Assert.Equal((0L, tensor.ByteLength), (tensor.ByteOffset, tensor.Memory.Length));
            Assert.Equal(Tensors.Tensors[name], tensor.AsSpan<byte>().ToArray());
            tensor.Dispose();
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task A_model_that_was_laid_out_otherwise_is_refused_unread()
    {
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        RecordingSource? source = null;
        await using var checkpoint = await Tensors.OpenAsync(inner => source = new RecordingSource(inner));
        long[] sizes = [0, 300, 512, 1024, 1L << 20];
        foreach (var slabBytes in sizes)
        {
            using var model = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = device, SlabBytes = slabBytes }));
            var layout = model.Select(tensor => tensor.Tensor.ByteOffset).ToArray();
            foreach (var other in sizes)
            {
                var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, SlabBytes = other });
                var reads = source!.Reads.Count;
                if (plan.Tensors.Select(tensor => tensor.Slab?.ByteOffset ?? 0).SequenceEqual(layout))
                {
                    await loader.LoadIntoAsync(plan, model);
                    Tensors.AssertLoaded(plan, model);
                    continue;
                }

                var error = await Assert.ThrowsAsync<ArgumentException>(() => loader.LoadIntoAsync(plan, model));
                Assert.Contains("not loaded by an equal plan", error.Message, StringComparison.Ordinal);
                Assert.Equal(reads, source.Reads.Count);
            }
        }
    }

    [Fact]
    public async Task A_device_needs_the_bytes_between_tensors_too()
    {
        await using var checkpoint = await Tensors.OpenAsync();
        var loader = new CheckpointLoader();
        // 256, 12 and 80 bytes in a slab, each at a multiple of 256, and 16,384 alone.
        const long needed = 256 + 256 + 80 + 16384;
        foreach (var free in new[] { needed - 1, needed })
        {
            var device = new LateDevice { Free = free };
            var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, SlabBytes = 1024 });
            if (free == needed)
            {
                (await loader.LoadAsync(plan).WaitAsync(Hang)).Dispose();
                Assert.Equal(needed, device.PeakBytes);
            }
            else
            {
                Assert.Equal(needed, (await Assert.ThrowsAsync<DeviceMemoryException>(() => loader.LoadAsync(plan))).Requested);
                Assert.Equal(0, device.PeakBytes);
            }

            Assert.Equal(0, device.LiveAllocations);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_refused_allocation_frees_slabs_and_tensors(int allocation)
    {
        await using var checkpoint = await Tensors.OpenAsync();
        var device = new LateDevice { FailingAllocation = allocation };
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, SlabBytes = 1024 });
        await Assert.ThrowsAsync<DeviceMemoryException>(() => loader.LoadAsync(plan));
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [Fact]
    public async Task A_failed_read_frees_slabs_and_tensors()
    {
        await using var checkpoint = await Tensors.OpenAsync(inner => ThrowingSource.AfterBytes(inner, 1000));
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, SlabBytes = 1024 });
        await Assert.ThrowsAsync<IOException>(() => loader.LoadAsync(plan));
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    private static Device Create(string kind) => kind switch
    {
        "host" => new HostDevice(),
        "soon" => new LateDevice(),
        "late" => new LateDevice { Lateness = Lateness.WhenWaitedFor },
        "group" => new DeviceGroup(new LateDevice(), new LateDevice { Index = 1, Lateness = Lateness.WhenWaitedFor }),
        _ => new DeviceGroup(new HostDevice(), new LateDevice()),
    };

    private static async Task LoadTwiceAsync(Sample sample, Random random)
    {
        await using var checkpoint = await sample.OpenAsync();
        var device = Create(random.GetItems(Kinds, 1)[0]);
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions
        {
            Device = device,
            SlabBytes = random.Next(1, 6000),
            Lanes = random.Next(1, 4),
            StagingBytes = 64 << 10,
            DType = random.Next(2) == 0 ? null : DType.F32,
            ConvertAllTypes = true,
        });
        using (var model = await loader.LoadAsync(plan))
        {
            sample.AssertLoaded(plan, model);
            Assert.Equal(plan.AllocatedBytes, device.LiveBytes);
            Assert.InRange(device.LiveAllocations, 0, plan.Tensors.Length - plan.SlabTensorCount + plan.Slabs.Length);
            await loader.LoadIntoAsync(plan, model);
            sample.AssertLoaded(plan, model);
        }

        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        IEnumerable<Device> members = device is DeviceGroup group ? group.Members : [device];
        Assert.All(members.OfType<LateDevice>(), late => Assert.Empty(late.Violations));
    }
}
