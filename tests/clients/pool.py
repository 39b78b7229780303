"""The portal on every connection of SQLAlchemy's pool. Usage: pool.py DATABASE PATIENT..."""
import concurrent.futures
import sys

import sqlalchemy


def pool(path):
    # With AUTOCOMMIT the driver opens no transaction of its own, in which no guess is checked.
    engine = sqlalchemy.create_engine(f'sqlite:///{path}', isolation_level='AUTOCOMMIT',
                                      poolclass=sqlalchemy.pool.QueuePool)

    @sqlalchemy.event.listens_for(engine, 'connect')
    def load(db, _):
        db.enable_load_extension(True)
        db.load_extension('build/portal')
        db.enable_load_extension(False)

    return engine


def send(engine, patient):
    with engine.connect() as db:
        return db.execute(sqlalchemy.text("SELECT send_registration(:patient, 'email')"), {'patient': patient}).scalar()


def main(path, *patients):
    engine = pool(path)
    with concurrent.futures.ThreadPoolExecutor() as threads:
        for sentence in threads.map(lambda patient: send(engine, patient), patients):
            print(sentence)


if __name__ == '__main__':
    main(*sys.argv[1:])
