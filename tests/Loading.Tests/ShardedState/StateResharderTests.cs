using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What is refused, what must be the same on all ranks, and what stays behind where a resharding ends early.</summary>
[Trait("Area", "ShardedState")]
public sealed class StateResharderTests
{
    [Fact]
    public async Task What_several_ranks_have_must_be_the_same_on_each()
    {
        var run = new ReshardRun(Saved(), Make) { Change = (rank, name, tensor) => rank == 2 && name != "split" ? Spoil(tensor) : tensor };
        using var model = Model(1, 0);
        var exception = await Assert.ThrowsAsync<ModelMismatchException>(() => run.ReshardAsync(model));
        Assert.Equal<string>(
            [
                "it is not known how 'norm' is split: its loader does not say, and ranks 0 and 2 have other values",
                // The heads of ranks 2 and 3 are one.
                "ranks 2 and 3 have other values of elements of 'heads' that both have",
                "it is not known how 'rope' is split: its loader does not say, and ranks 0 and 2 have other values",
            ],
            exception.Problems);
        AssertUntouched(model, run);
    }

    [Fact]
    public async Task A_share_that_is_not_needed_is_not_read_and_need_not_be_right()
    {
        var run = new ReshardRun(Saved(), Make) { Change = (rank, name, tensor) => rank == 3 && name == "split" ? Spoil(tensor) : tensor };
        using var model = Model(2, 0);
        await run.ReshardAsync(model);
        Assert.Equal([0, 1], run.Reads.Where(read => read.Name == "split").Select(read => read.Rank));
        Assert.Equal(Numbers(0, 8), ReshardRun.BytesOf(model)["split"]);
    }

    [Fact]
    public async Task Buffers_that_are_the_same_on_all_ranks_stay_it()
    {
        var run = new ReshardRun(Saved(), Make);
        using var model = Model(1, 0);
        var rope = model.Buffers["rope"];
        Assert.Equal(4, (await run.ReshardAsync(model)).TensorCount);
        Assert.Equal(Numbers(7, 3), ReshardRun.BytesOf(model)["rope"]);
        Assert.True(rope.IsDisposed);
        // Under its second name too.
        Assert.Same(model.Buffers["rope"], model.Children["below"].Buffers["rope_again"]);
    }

    [Theory]
    [InlineData(1, 2, 1)]
    [InlineData(2, 1, 0)]
    public async Task What_the_model_has_computed_for_its_rank_stays_as_it_is(int savedWorld, int world, int rank)
    {
        var saved = Enumerable.Range(0, savedWorld).Select(one => new Dictionary<string, byte[]>(StringComparer.Ordinal)
        {
            ["a"] = [.. Numbers(one * 4 / savedWorld, 4 / savedWorld)],
            ["experts._expert_map"] = [(byte)one, 9],
            ["experts.table"] = [(byte)(one + 50), 9],
        }).ToList();
        var run = new ReshardRun(saved, one => Mapped(savedWorld, one));
        using var model = Mapped(world, rank);
        var (map, table) = (model.Children["experts"].Buffers["_expert_map"], model.Children["experts"].Buffers["table"]);
        Assert.Equal(1, (await run.ReshardAsync(model)).TensorCount);
        Assert.Equal(Numbers(rank * 4 / world, 4 / world), ReshardRun.BytesOf(model)["a"]);
        Assert.Same(map, model.Children["experts"].Buffers["_expert_map"]);
        Assert.Same(table, model.Children["experts"].Buffers["table"]);
        Assert.Equal([(byte)(100 + rank), 7], map.AsReadOnlySpan<byte>().ToArray());
        Assert.Equal([(byte)(200 + rank), 7], table.AsReadOnlySpan<byte>().ToArray());
        Assert.All(run.Reads, read => Assert.Equal("a", read.Name));

        static Module Mapped(int world, int rank)
        {
            var model = new Module();
            model.Register("a", new Parameter(DType.U8, new Shape(4 / world), WeightLoaders.Sharded(0, new TensorParallel(world, rank))));
            var experts = model.Register("experts", new Module());
            experts.Register("_expert_map", Tensor.FromValues<byte>(DType.U8, new Shape(2), [(byte)(100 + rank), 7]));
            experts.Register("table", Tensor.FromValues<byte>(DType.U8, new Shape(2), [(byte)(200 + rank), 7]));
            return model;
        }
    }

    [Fact]
    public async Task What_is_missing_or_has_another_shape_is_an_error_that_names_all()
    {
        var saved = Saved();
        saved[1].Remove("split");
        var run = new ReshardRun(saved, Make) { Change = (rank, name, tensor) => name == "norm" && rank == 3 ? Tensor.Empty(DType.U8, new Shape(3, 1)) : tensor };
        using var model = Model(1, 0);
        var exception = await Assert.ThrowsAsync<ModelMismatchException>(() => run.ReshardAsync(model));
        Assert.Equal<string>(["rank 3 has U8 [3, 1] as 'norm', and its model U8 [3]", "rank 1 has no 'split', and its model U8 [4]"], exception.Problems);
        AssertUntouched(model, run);
    }

    [Fact]
    public async Task What_the_models_say_otherwise_is_refused_before_anything_is_read()
    {
        var run = new ReshardRun(Saved(), Make);
        using var model = new Module();
        model.Register("norm", new Parameter(DType.F16, new Shape(3)));
        model.Register("split", new Parameter(DType.U8, new Shape(20), WeightLoaders.Sharded(0, new TensorParallel(1, 0))));
        model.Register("new", new Parameter(DType.U8, new Shape(3)));
        model.Register("optional", new Parameter(DType.U8, new Shape(3)) { IsRequired = false });
        model.Register("heads", new Parameter(DType.U8, new Shape(5), (_, _, _) => { }));
        var exception = await Assert.ThrowsAsync<ModelMismatchException>(() => run.ReshardAsync(model));
        Assert.Equal<string>(
            [
                "'norm' is U8 in the saved state and F16 in the model",
                "'split' is a share of [16] in the saved state and of [20] in the model",
                "none of the saved ranks has 'new'",
                "it is not known how 'heads' is split: its loader does not say, and rank 0 has the shape [4], and the model [5]",
            ],
            exception.Problems);
        Assert.Empty(run.Reads);
    }

    [Fact]
    public async Task Elements_that_no_rank_has_are_not_made_up()
    {
        var saved = Saved();
        // Experts 2 and 3 are nowhere: each of the saved ranks has the first two of four.
        var placement = new ExpertPlacement(0, 1, -1, -1);
        var layout = LinearLayout.ForDown(2, 2, id: "w2");
        var run = new ReshardRun(saved, _ => Experts(placement, layout));
        using var model = Experts(ExpertPlacement.All(4), layout);
        var exception = await Assert.ThrowsAsync<ModelMismatchException>(() => run.ReshardAsync(model));
        Assert.Equal("'experts' cannot be put together: none of the saved ranks has 8 of its elements", Assert.Single(exception.Problems));
    }

    [Fact]
    public async Task Experts_that_are_modules_are_taken_from_the_rank_that_has_them()
    {
        List<Dictionary<string, byte[]>> saved = [new() { ["0.weight"] = [1, 2], ["1.weight"] = [3, 4] }, new() { ["2.weight"] = [5, 6] }];
        var run = new ReshardRun(saved, rank => List(rank == 0 ? ["0", "1"] : ["2"]));
        using var model = List("1", "2");
        await run.ReshardAsync(model);
        Assert.Equal([(0, "1.weight"), (1, "2.weight")], run.Reads);
        Assert.Equal([3, 4], ReshardRun.BytesOf(model)["1.weight"]);
        Assert.Equal([5, 6], ReshardRun.BytesOf(model)["2.weight"]);

        static Module List(params string[] experts)
        {
            var list = new Module();
            Array.ForEach(experts, expert => list.Register(expert, new Module()).Register("weight", new Parameter(DType.U8, new Shape(2))));
            return list;
        }
    }

    [Fact]
    public async Task A_function_behind_the_load_is_not_applied_again()
    {
        List<Dictionary<string, byte[]>> saved = [new() { ["a"] = [1, 2] }, new() { ["a"] = [3, 4] }];
        var run = new ReshardRun(saved, rank => One(2, rank));
        using var model = One(1, 0);
        await run.ReshardAsync(model);
        Assert.Equal([1, 2, 3, 4], ReshardRun.BytesOf(model)["a"]);

        static Module One(int world, int rank)
        {
            var one = new Module();
            one.Register("a", new Parameter(DType.U8, new Shape(4 / world), WeightLoaders.Composed(WeightLoaders.Sharded(0, new TensorParallel(world, rank)), _ => throw new InvalidOperationException(), isElementwise: true)));
            return one;
        }
    }

    [Fact]
    public async Task A_function_that_may_move_values_makes_the_split_unknown()
    {
        // Reversed by each rank for itself: a load by one rank gives 04030201.
        List<Dictionary<string, byte[]>> saved = [new() { ["a"] = [2, 1] }, new() { ["a"] = [4, 3] }];
        var run = new ReshardRun(saved, rank => One(2, rank));
        using var model = One(1, 0);
        var exception = await Assert.ThrowsAsync<ModelMismatchException>(() => run.ReshardAsync(model));
        Assert.Equal("it is not known how 'a' is split: its loader does not say, and rank 0 has the shape [2], and the model [4]", Assert.Single(exception.Problems));
        Assert.Empty(run.Reads);

        static Module One(int world, int rank)
        {
            var one = new Module();
            one.Register("a", new Parameter(DType.U8, new Shape(4 / world), WeightLoaders.Composed(WeightLoaders.Sharded(0, new TensorParallel(world, rank)), Reverse)));
            return one;
        }

        static Tensor Reverse(Tensor tensor)
        {
            tensor.AsSpan<byte>().Reverse();
            return tensor;
        }
    }

    [Fact]
    public async Task Saved_tensors_may_have_strides_and_the_models_keep_theirs()
    {
        byte[] rows = [1, 2, 3, 4, 5, 6];
        List<Dictionary<string, byte[]>> saved = [new() { ["a"] = rows[..3] }, new() { ["a"] = rows[3..] }];
        var run = new ReshardRun(saved, rank => One(2, rank))
        {
            Change = (_, _, tensor) =>
            {
                var strided = Tensor.EmptyStrided(DType.U8, tensor.Shape, [7, 2]);
                strided.CopyFrom(tensor);
                return strided;
            },
        };
        using var model = One(1, 0);
        await run.ReshardAsync(model);
        Assert.Equal<long>([1, 2], model.Parameters["a"].Data.Strides);
        Assert.Equal(rows, ReshardRun.BytesOf(model)["a"]);

        static Module One(int world, int rank)
        {
            var one = new Module();
            one.Register("a", new Parameter(Tensor.EmptyStrided(DType.U8, new Shape(2 / world, 3), [1, 2], MetaDevice.Shared), WeightLoaders.Sharded(0, new TensorParallel(world, rank))));
            return one;
        }
    }

    [Fact]
    public async Task Where_reading_fails_or_is_cancelled_nothing_has_changed()
    {
        var failing = new ReshardRun(Saved(), Make) { Change = (rank, name, tensor) => name == "split" && rank == 1 ? throw new IOException("gone") : tensor };
        using var model = Model(1, 0);
        await Assert.ThrowsAsync<IOException>(() => failing.ReshardAsync(model));
        AssertUntouched(model, failing);

        using var source = new CancellationTokenSource();
        var cancelled = new ReshardRun(Saved(), Make)
        {
            Change = (_, name, tensor) =>
            {
                if (name == "heads")
                {
                    source.Cancel();
                }

                return tensor;
            },
        };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled.ReshardAsync(model, source.Token));
        AssertUntouched(model, cancelled);

        using var loaded = new Module();
        loaded.Register("norm", new Parameter(Tensor.Empty(DType.U8, new Shape(3))));
        await Assert.ThrowsAsync<InvalidOperationException>(() => new ReshardRun(Saved(), Make).ReshardAsync(loaded));
    }

    [Fact]
    public async Task What_lies_in_another_tensor_of_the_model_lies_there_again()
    {
        List<Dictionary<string, byte[]>> saved = [new() { ["again"] = [1, 2, 3, 4] }, new() { ["again"] = [5, 6, 7, 8] }];
        var run = new ReshardRun(saved, rank => Divided(2, rank));
        using (var model = Divided(1, 0))
        {
            Assert.Equal(3, (await run.ReshardAsync(model)).TensorCount);
            Assert.Equal([5, 6], ReshardRun.BytesOf(model)["part"]);
            Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8], ReshardRun.BytesOf(model)["again"]);
            Assert.Single(model.NamedState().Select(entry => entry.Tensor.Memory).Distinct());
            Assert.Equal(1, run.Device.LiveAllocations);
            Assert.All(run.Reads, read => Assert.Equal("again", read.Name));
        }

        Assert.Equal(0, run.Device.LiveAllocations);

        static Module Divided(int world, int rank)
        {
            var loader = WeightLoaders.Sharded(0, new TensorParallel(world, rank));
            var whole = Tensor.Empty(DType.U8, new Shape(8 / world), MetaDevice.Shared);
            var model = new Module();
            model.Register("part", new Parameter(whole.Narrow(0, 4 / world, 2 / world), loader));
            model.Register("again", new Parameter(whole.On(MetaDevice.Shared), loader));
            model.Register("whole", new Parameter(whole, loader));
            return model;
        }
    }

    [Fact]
    public async Task Tensors_that_lie_over_one_another_in_part_are_refused()
    {
        var run = new ReshardRun([new Dictionary<string, byte[]>()], _ => new Module());
        var memory = Tensor.Empty(DType.U8, new Shape(8), MetaDevice.Shared);
        using var model = StateSample.Model(("left", memory.Narrow(0, 0, 5)), ("right", memory.Narrow(0, 4, 4)));
        memory.Dispose();
        var exception = await Assert.ThrowsAsync<ModelMismatchException>(() => run.ReshardAsync(model));
        Assert.Contains("'left' and 'right' lie over one another", Assert.Single(exception.Problems), StringComparison.Ordinal);
        Assert.Empty(run.Reads);
    }

    [Fact]
    public async Task What_the_device_cannot_hold_is_refused_before_anything_is_read()
    {
        var run = new ReshardRun(Saved(), Make) { Device = new LateDevice { Free = 29 } };
        using var model = Model(1, 0);
        var exception = await Assert.ThrowsAsync<DeviceMemoryException>(() => run.ReshardAsync(model));
        // 3 of the norm, 16, two heads of 4, and 3 of the buffer.
        Assert.Contains("30", exception.Message, StringComparison.Ordinal);
        Assert.Empty(run.Reads);
        AssertUntouched(model, run);
        var enough = new ReshardRun(Saved(), Make) { Device = new LateDevice { Free = 30 } };
        _ = await enough.ReshardAsync(model);
    }

    private static void AssertUntouched(Module model, ReshardRun run)
    {
        Assert.Equal(0, run.Device.LiveAllocations);
        Assert.All(model.NamedState(), entry => Assert.Equal((DeviceKind.Meta, false), (entry.Tensor.Device.Kind, entry.Tensor.IsDisposed)));
    }

    // Four ranks: a norm on each, a share of 16 numbers, two heads of 4 that two ranks have each, and a buffer.
    private static List<Dictionary<string, byte[]>> Saved() =>
    [
        .. Enumerable.Range(0, 4).Select(rank => new Dictionary<string, byte[]>(StringComparer.Ordinal)
        {
            ["norm"] = Numbers(50, 3),
            ["split"] = Numbers(rank * 4, 4),
            ["heads"] = Numbers(100 + (rank / 2 * 4), 4),
            ["rope"] = Numbers(7, 3),
        }),
    ];

    private static byte[] Numbers(int first, int count) => [.. Enumerable.Range(first, count).Select(number => (byte)number)];

    private static Module Make(int rank) => Model(4, rank);

    private static Module Model(int world, int rank)
    {
        var parallel = new TensorParallel(world, rank);
        var heads = new LinearLayout(1, [new PackedPart(null, 8, Math.Max(1, world / 2))], parallel);
        var model = new Module();
        model.Register("norm", new Parameter(DType.U8, new Shape(3)));
        model.Register("split", new Parameter(DType.U8, new Shape(16 / world), WeightLoaders.Sharded(0, parallel)));
        model.Register("heads", new Parameter(DType.U8, new Shape(heads.OutputSizePerRank), WeightLoaders.Linear(heads, ParameterAxes.Bias)));
        var rope = model.Register("rope", Tensor.Empty(DType.U8, new Shape(3), MetaDevice.Shared));
        model.Register("below", new Module()).Register("rope_again", rope);
        return model;
    }

    private static Module Experts(ExpertPlacement placement, LinearLayout layout)
    {
        var model = new Module();
        model.Register("experts", new Parameter(DType.U8, new Shape(placement.LocalExperts.Length, 2, 2), WeightLoaders.Experts(placement, layout, ParameterAxes.Weight)));
        return model;
    }

    private static Tensor Spoil(Tensor tensor)
    {
        tensor.AsSpan<byte>()[1]++;
        return tensor;
    }
}
