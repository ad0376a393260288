using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class GroupLoadTests
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(1);

    private static readonly Sample Tensors = Sample.Make(
        5, ("first", DType.F32, [1000]), ("large", DType.F32, [700_000]), ("third", DType.U8, [5000]), ("empty", DType.I8, [0]), ("last", DType.F16, [100]));

    [Fact]
    public void Every_byte_is_read_once_for_all_devices_through_any_slots_and_lanes()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var group = new LateGroup { SlotBytes = random.Next(16, 3000) };
            var target = random.Next(2) == 0 ? DType.F32 : (DType?)null;
            LoadAsync(Sample.MakeRandom(seed), group, random.Next(1, 5), target).WaitAsync(Hang).GetAwaiter().GetResult();
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(200));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(DType.F32)]
    [InlineData(DType.BF16)]
    public async Task Large_tensors_are_read_once_too(DType? target) =>
        await LoadAsync(Tensors, new LateGroup { SlotBytes = 50_000 }, 3, target).WaitAsync(Hang);

    [Fact]
    public async Task One_pool_of_slots_serves_all_members()
    {
        var group = new LateGroup();
        await using var checkpoint = await Tensors.OpenAsync();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = group.Device, Lanes = 1 });
        await (await loader.LoadAsync(plan).WaitAsync(Hang)).DisposeAsync();
        // That of the member which wants locked pages; the host prefers larger ones than these.
        Assert.Equal((0, plan.Runs.Length), (group.Soon.Rents, group.Late.Rents));
        Assert.Equal(group.Host.PreferredSlotBytes, plan.Staging.SlotBytes);
        Assert.DoesNotContain(plan.Runs, run => run.IsInPlace);
    }

    [Fact]
    public async Task A_stream_gives_each_tensor_once_with_every_device_s_bytes()
    {
        foreach (var window in new[] { 0, 6000, 1 << 30 })
        {
            var group = new LateGroup { SlotBytes = 3000 };
            var source = default(RecordingSource);
            await using var checkpoint = await Tensors.OpenAsync(inner => source = new RecordingSource(inner));
            var before = source!.BytesRead;
            var loader = new CheckpointLoader();
            var plan = loader.Plan(checkpoint, new LoadOptions { Device = group.Device, Lanes = 2, StreamWindowBytes = window });
            var kept = new List<Tensor>();
            await foreach (var (name, tensor) in loader.StreamAsync(plan))
            {
                using (tensor)
                {
                    Tensors.AssertLoaded(plan.Tensors.Single(planned => planned.Name == name), tensor);
                    kept.Add(tensor.On(group.Late));
                }
            }

            Assert.Equal((5, plan.BytesToRead), (kept.Count, source.BytesRead - before));
            Assert.Equal((0L, 0L, 5L), (group.Device.LiveAllocations, group.Soon.LiveAllocations, group.Late.LiveAllocations));
            kept.ForEach(tensor => tensor.Dispose());
            group.AssertLive(0, 0);
        }
    }

    [Fact]
    public async Task A_model_on_one_device_outlives_that_on_all_and_is_loaded_again_by_itself()
    {
        var group = new LateGroup();
        await using var checkpoint = await TiedSample.OpenAsync(Tensors, null, ("again", "large", DType.F32, [700, 1000]));
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = group.Device });
        var model = await loader.LoadAsync(plan).WaitAsync(Hang);
        var onSoon = model.On(group.Soon);
        using (var onHost = model.On(group.Host))
        {
            Assert.Equal(Tensors.Tensors["large"], onHost["large"].AsSpan<byte>().ToArray());
            Assert.Same(onHost["large"].Memory, onHost["again"].Memory);
        }

        Assert.Throws<ArgumentException>(() => model.On(HostDevice.Shared));
        Assert.Throws<ArgumentNullException>(() => model.On(null!));
        using (var same = model.On(group.Device))
        {
            Assert.Same(model["first"].Memory, same["first"].Memory);
        }

        group.AssertLive(5, plan.DestinationBytes);

        model.Detach("first").Dispose();
        model.Dispose();
        Assert.Throws<ObjectDisposedException>(() => model.On(group.Soon));
        Assert.Equal((0L, 0L, 0L, 5L), (
            group.Device.LiveAllocations, group.Host.LiveAllocations, group.Late.LiveAllocations, group.Soon.LiveAllocations));
        Assert.Equal(["first", "large", "again", "third", "empty", "last"], onSoon.Names);
        Assert.Equal((model.Name, model.Statistics), (onSoon.Name, onSoon.Statistics));

        // By a plan for that device alone, into the same memory.
        ((LateMemory)onSoon["large"].Memory).Bytes.AsSpan().Clear();
        await loader.LoadIntoAsync(loader.Plan(checkpoint, new LoadOptions { Device = group.Soon }), onSoon).WaitAsync(Hang);
        Assert.Equal(Tensors.Tensors["large"], LateDevice.Read(onSoon["again"]));
        onSoon.Dispose();
        group.AssertLive(0, 0);
    }

    [Fact]
    public async Task A_part_of_a_model_has_no_tensors_that_were_taken_out()
    {
        var group = new LateGroup();
        await using var checkpoint = await Tensors.OpenAsync();
        var loader = new CheckpointLoader();
        using var model = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = group.Device })).WaitAsync(Hang);
        using var detached = model.Detach("large");
        using var part = model.On(group.Late);
        Assert.Equal(["first", "third", "empty", "last"], part.Names);

        // One that was disposed behind the model's back leaves nothing half made.
        var before = group.Soon.LiveBytes;
        model["last"].Dispose();
        Assert.Throws<ObjectDisposedException>(() => model.On(group.Soon));
        Assert.Equal(before - 200, group.Soon.LiveBytes);
    }

    [Fact]
    public async Task A_model_is_loaded_again_into_every_device_s_memory()
    {
        var group = new LateGroup();
        await using var checkpoint = await Tensors.OpenAsync();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = group.Device, DType = DType.BF16 });
        var model = await loader.LoadAsync(plan).WaitAsync(Hang);
        var memory = model["large"].Memory;
        using (var onHost = model["large"].On(group.Host))
        {
            onHost.AsSpan<byte>().Clear();
        }

        await loader.LoadIntoAsync(plan, model).WaitAsync(Hang);
        Assert.Same(memory, model["large"].Memory);
        Tensors.AssertLoaded(plan, model);
        await Assert.ThrowsAsync<ArgumentException>(
            () => loader.LoadIntoAsync(loader.Plan(checkpoint, new LoadOptions { Device = group.Host, DType = DType.BF16 }), model));
        model.Dispose();
        group.AssertLive(0, 0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_member_that_fails_frees_everything_on_all(bool streamed)
    {
        await using var checkpoint = await Tensors.OpenAsync();
        for (var member = 0; member < 2; member++)
        {
            for (var at = 1; at <= 4; at++)
            {
                await FailAsync<DeviceMemoryException>(checkpoint, streamed, member, (index, lateness) =>
                    new LateDevice { Index = index, Lateness = lateness, FailingAllocation = index == member ? at : 0 });
                var error = await FailAsync<InvalidOperationException>(checkpoint, streamed, member, (index, lateness) =>
                    new LateDevice { Index = index, Lateness = lateness, SlotBytes = 4000, FailingFence = index == member ? at : 0 });
                Assert.Equal("The device was lost.", error.Message);
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Cancelling_frees_everything_on_all(bool streamed)
    {
        foreach (var atRead in new[] { 1, 2, 3 })
        {
            using var cancellation = new CancellationTokenSource();
            var source = default(ActingSource);
            await using var checkpoint = await Tensors.OpenAsync(inner => source = new ActingSource(inner));
            source!.Arm(atRead, cancellation.Cancel);
            var group = new LateGroup { SlotBytes = 50_000 };
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => RunAsync(checkpoint, group.Device, streamed, cancellation.Token).WaitAsync(Hang));
            Assert.InRange(source.ReadsAfterwards, 0, 3);
            group.AssertLive(0, 0);
        }
    }

    [Fact]
    public async Task Every_member_needs_the_tensors_and_the_host_the_slots()
    {
        await using var checkpoint = await Tensors.OpenAsync();
        var loader = new CheckpointLoader();
        var (first, second, host) = (new LateDevice { Free = 1 << 30 }, new LateDevice { Index = 1, Free = 2_800_000 }, new HostDevice());
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = new DeviceGroup(first, second), StagingBytes = 1 << 20 });
        Assert.Equal(2_809_200, plan.DestinationBytes);
        Assert.Equal(
            [("late:0", 2_809_200L, 0L, true), ("late:1", 2_809_200L, 0L, false), ("host", 0L, plan.Staging.Bytes, true)],
            plan.MemoryNeeds().Select(need => (need.Device.Id, need.TensorBytes, need.StagingBytes, need.Fits)));
        Assert.Equal((2_800_000L, 2_809_200L), (plan.Device.FreeMemory, plan.BytesToRead));

        var error = await Assert.ThrowsAsync<DeviceMemoryException>(() => loader.LoadAsync(plan));
        Assert.Equal(("late:1", 2_809_200L, 2_800_000L), (error.Device, error.Requested, error.Available));
        Assert.Equal((0L, 0L), (first.PeakBytes, second.PeakBytes));

        plan = loader.Plan(checkpoint, new LoadOptions { Device = new DeviceGroup(host, first), StagingBytes = 1 << 20 });
        Assert.Equal(
            [(host, 2_809_200L, plan.Staging.Bytes), (first, 2_809_200L, 0L)],
            plan.MemoryNeeds().Select(need => (need.Device, need.TensorBytes, need.StagingBytes)));
    }

    [Fact]
    public async Task Views_that_a_manifest_checks_are_read_once_where_the_host_is_a_member()
    {
        var made = ViewSample.Make(5, DType.F32, 300, 90);
        var source = default(RecordingSource);
        await using var checkpoint = made.Open(inner => source = new RecordingSource(inner), new ViewShape("q", [300, 60], [90, 1], 0), new ViewShape("k", [300, 60], [90, 1], 30));
        var manifest = TensorHasher.ToManifest(await TensorHasher.HashStoredAsync(checkpoint));
        var before = source!.BytesRead;
        var group = new LateGroup();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = group.Device, Manifest = manifest });
        Assert.Single(plan.Blocks);
        await using (var model = await loader.LoadAsync(plan).WaitAsync(Hang))
        {
            Assert.Equal(plan.BytesToRead, source.BytesRead - before);
            Assert.Same(model["q"].Memory, model["k"].Memory);
            Assert.All(model, tensor => Assert.Equal(made.Bytes(checkpoint[tensor.Name]), TensorBytes.Read(tensor.Tensor)));
        }

        group.AssertLive(0, 0);
    }

    private static async Task LoadAsync(Sample sample, LateGroup group, int lanes, DType? target)
    {
        var source = default(RecordingSource);
        await using var checkpoint = await sample.OpenAsync(inner => source = new RecordingSource(inner));
        var opened = source!.Reads.Count;
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions
        {
            Device = group.Device,
            Lanes = lanes,
            StagingBytes = 64 << 10,
            DType = target,
            ConvertAllTypes = target is not null,
        });
        await using (var model = await loader.LoadAsync(plan))
        {
            sample.AssertLoaded(plan, model);
            group.AssertLive(plan.Tensors.Length, plan.DestinationBytes);
        }

        // Each byte of a tensor by one read, and no other byte.
        var reads = new int[sample.File.Length];
        foreach (var read in source.Reads.Skip(opened))
        {
            foreach (ref var count in reads.AsSpan((int)read.Offset, read.Given))
            {
                count++;
            }
        }

        var begins = sample.File.Length - sample.Tensors.Sum(tensor => tensor.Value.Length);
        Assert.True(reads.AsSpan(0, begins).IndexOfAnyExcept(0) < 0, "The header was read again.");
        Assert.True(reads.AsSpan(begins).IndexOfAnyExcept(1) < 0, "A byte was not read once.");
        group.AssertLive(0, 0);
    }

    private static async Task<TException> FailAsync<TException>(
        Checkpoint checkpoint, bool streamed, int member, Func<int, Lateness, LateDevice> make)
        where TException : Exception
    {
        LateDevice[] members = [make(0, member == 0 ? Lateness.WhenWaitedFor : Lateness.Soon), make(1, Lateness.WhenWaitedFor)];
        var group = new DeviceGroup(members);
        var error = await Assert.ThrowsAnyAsync<TException>(() => RunAsync(checkpoint, group, streamed, default).WaitAsync(Hang));
        Assert.All<Device>([group, .. members], device => Assert.Equal((0L, 0L), (device.LiveAllocations, device.LiveBytes)));
        Assert.All(members, device =>
        {
            Assert.Empty(device.Violations);
            Assert.Equal(0, device.Rented);
        });
        return error;
    }

    private static async Task RunAsync(Checkpoint checkpoint, Device device, bool streamed, CancellationToken cancellationToken)
    {
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, Lanes = 3, StreamWindowBytes = 4000 });
        if (!streamed)
        {
            await (await loader.LoadAsync(plan, null, cancellationToken)).DisposeAsync();
            return;
        }

        await foreach (var (_, tensor) in loader.StreamAsync(plan, null, cancellationToken))
        {
            tensor.Dispose();
        }
    }
}
