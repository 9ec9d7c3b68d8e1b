# Three targets, as the dependency rule has it: engine (pure), io (system
# calls and the worker thread), vxlnat (the addon, the only one that knows
# Node). Sources by glob, so that no list can drift.
{
  'target_defaults': {
    'include_dirs': ['.'],
    'cflags!': ['-Wno-unused-parameter', '-O3'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20'],
    'cflags': ['-O2', '-g'],
    'cflags_cc': [
      '-std=c++20',
      '-Wall',
      '-Wextra',
      '-Wshadow',
      '-Wconversion',
      '-Wsign-conversion',
      '-Wold-style-cast',
      '-Wundef',
      '-Werror',
    ],
  },
  'targets': [
    {
      'target_name': 'engine',
      'type': 'static_library',
      'sources': ['<!@(find engine -name "*.cc" | sort)'],
      'cflags': ['-fPIC'],
    },
    {
      'target_name': 'io',
      'type': 'static_library',
      'sources': ['<!@(find io -name "*.cc" | sort)'],
      'cflags': ['-fPIC', '-pthread'],
      'dependencies': ['engine'],
    },
    {
      'target_name': 'vxlnat',
      'sources': ['<!@(find addon -name "*.cc" | sort)'],
      'dependencies': ['engine', 'io'],
      # The last: a terminated worker thread takes no more exceptions, and
      # that must not end the process.
      'defines': [
        'NAPI_VERSION=8',
        'NAPI_CPP_EXCEPTIONS',
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      # node-addon-api is not ours to warn about.
      'cflags_cc': [
        '-isystem<!(node -p "require(\'path\').dirname(require.resolve(\'node-addon-api\'))")',
        '-fexceptions',
      ],
      'cflags_cc!': ['-fno-exceptions'],
      'ldflags': ['-pthread'],
    },
  ],
}
